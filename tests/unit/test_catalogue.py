"""The catalogue: complete, in plain sentences, and each example of the shape it shows."""

import re
from typing import get_args

import pytest

from shared.events import catalogue, refusals, schema_fields, type_names
from shared.events.catalogue import CATALOGUE, EventType
from shared.events.event import MAX_DATA_BYTES, canonical
from shared.events.refusals import NO_STANDING, REASONS, Code
from shared.events.type_names import KINDS, Kind, P

ROWS = pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE.keys())
GENERAL = {*NO_STANDING, Code.ID_REUSED, Code.VERSION_CONFLICT, Code.PLAN_FULL, Code.OUR_FAULT}
NEVER_SAID = re.compile(r"\b(?:partner|patient|user|client|therapist|service)s?\b", re.IGNORECASE)
LONGEST = 20  # words in a sentence
SAM = "Sam (nurse)"


def sentences(row: EventType) -> list[str]:
    """Everything that history can say about events of a type."""
    told = [row.sentence, row.others_sentence.format(who=SAM)]
    for code in (*GENERAL, *row.refusals):
        refused = f"tried to {row.attempt}; it was refused: {REASONS[code]}."
        told.append(f"{SAM} {refused}")  # also a representative, of what is the person's
        if row.who.person and code not in (Code.NOT_YOURS_TO_SAY, Code.NO_GRANT):
            told.append(f"You {refused}")
    return [sentence for sentence in told if sentence]


def test_every_type_has_one_row_and_every_row_is_a_type() -> None:
    named = [name for group in get_args(type_names.Type) for name in get_args(group)]
    assert len(set(named)) == len(named)
    assert list(CATALOGUE) == [row.name for row in CATALOGUE.values()]
    assert set(CATALOGUE) == set(named) == set(catalogue.TYPE_NAMES)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Kind.PLAN, type_names.PlanType),
        (Kind.ANSWER, type_names.AnswerType),
        (Kind.BESIDE, type_names.BesideType),
        (Kind.EQUAL, type_names.EqualType),
        (Kind.WHOSE, type_names.WhoseType),
    ],
)
def test_the_kinds_of_the_rows_are_the_kinds_of_the_literals(kind: Kind, names: object) -> None:
    assert {row.name for row in CATALOGUE.values() if row.kind is kind} == set(get_args(names))
    assert {name for name, group in KINDS.items() if group is kind} == set(get_args(names))


@ROWS
def test_what_moves_a_line_is_the_persons_alone(row: EventType) -> None:
    if row.kind in (Kind.PLAN, Kind.ANSWER, Kind.WHOSE):
        assert row.who == P


@ROWS
def test_an_example_fits_its_shape(row: EventType) -> None:
    assert row.schema.validate(row.example) == {}


@ROWS
def test_a_shape_takes_no_member_it_does_not_know(row: EventType) -> None:
    assert list(row.schema.validate({**row.example, "colour": "red"})) == ["colour"]


@ROWS
def test_a_shape_takes_no_null(row: EventType) -> None:
    for member in row.schema.fields:
        assert list(row.schema.validate({**row.example, member: None})) == [member]


@ROWS
def test_a_shape_misses_what_it_requires(row: EventType) -> None:
    required = {name for name, each in row.schema.fields.items() if each.required}
    assert set(row.schema.validate({})) == required
    assert required <= set(row.example)


@ROWS
def test_the_member_that_holds_the_words_is_a_member(row: EventType) -> None:
    assert row.words is None or row.words in row.schema.fields


@ROWS
def test_sentences_are_short(row: EventType) -> None:
    assert {said: count for said in sentences(row) if (count := len(said.split())) > LONGEST} == {}


@ROWS
def test_every_type_has_its_sentences(row: EventType) -> None:
    assert bool(row.sentence) == row.who.person
    assert bool(row.others_sentence) == (row.who != P)
    assert row.attempt


@ROWS
def test_sentences_end_and_begin_as_sentences_do(row: EventType) -> None:
    for said in sentences(row):
        assert re.fullmatch(r"(?:[A-Z].*)[a-z]\.", said)


@ROWS
def test_no_sentence_says_partner_or_any_word_of_the_trade(row: EventType) -> None:
    said = [said for said in sentences(row) if NEVER_SAID.search(said)]
    assert not said or row.name in ("service.barred", "service.unbarred")  # there it is the thing


@ROWS
def test_no_sentence_says_that_the_person_is_somebody_else(row: EventType) -> None:
    """The person reads these: "the person" would be a third one."""
    assert not re.search(r"\bthe person\b", f"{row.sentence} {row.others_sentence} {row.attempt}")


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_reason_in_at_most_seven_words(code: Code) -> None:
    assert 0 < len(REASONS[code].split()) <= 7
    assert not NEVER_SAID.search(REASONS[code])


def test_reasons_stand_in_the_order_of_the_codes() -> None:
    assert list(REASONS) == list(Code)


def test_every_code_is_general_or_belongs_to_a_type() -> None:
    own = {code for row in CATALOGUE.values() for code in row.refusals}
    assert own | GENERAL == set(Code)
    assert own & GENERAL == set()


def test_forbidden_is_for_those_who_may_not_say_it() -> None:
    answered = {code: code.http_status for code in Code}
    assert {code for code, status in answered.items() if status == 403} == {
        Code.NOT_YOURS_TO_SAY,
        Code.NO_GRANT,
    }
    assert set(answered.values()) == {403, 409}


def test_an_acceptance_may_earn_whatever_a_change_may() -> None:
    plan = {code for row in CATALOGUE.values() if row.kind is Kind.PLAN for code in row.refusals}
    earned = set(CATALOGUE["proposal.accepted"].refusals)
    assert plan - earned == {Code.PLAN_EXISTS}  # starting a plan cannot be proposed


@ROWS
def test_scopes_of_tokens_follow_the_kind(row: EventType) -> None:
    shares = row.name.startswith(("access.", "representative.", "service."))
    assert row.token_scope == ("share" if shares else "write")


def test_scopes_of_grants_are_scopes_that_can_be_granted() -> None:
    wanted = {row.who.scope for row in CATALOGUE.values()} - {None}
    assert wanted == {"propose", "observe", "interpret", "any"}
    assert wanted - {"any"} < set(schema_fields.SCOPES)
    assert "any" not in schema_fields.SCOPES, "nobody grants anything whatever"


@ROWS
def test_an_example_is_small_ascii_named_and_canonical(row: EventType) -> None:
    assert len(canonical(row.example)) < MAX_DATA_BYTES
    assert all(member.isascii() for member in row.example)


def test_the_documented_codes_are_strings_that_never_change() -> None:
    assert [code.value for code in Code] == [
        "not-yours-to-say",
        "no-grant",
        "no-such-plan",
        "plan-erased",
        "id-reused",
        "version-conflict",
        "plan-exists",
        "no-basis",
        "unknown-target",
        "unknown-addressee",
        "lapsed",
        "already-answered",
        "invalid-change",
        "not-its-author",
        "not-in-your-name",
        "not-to-be-handed-on",
        "own-promise",
        "wrong-addressee",
        "wrong-state",
        "exists",
        "unchanged",
        "bad-range",
        "out-of-range",
        "version-mismatch",
        "missing-observable",
        "basis-missing",
        "wording-missing",
        "too-many",
        "plan-full",
        "our-fault",
    ]


@ROWS
def test_the_order_of_a_types_own_refusals_is_the_order_of_the_codes(row: EventType) -> None:
    assert list(row.refusals) == sorted(row.refusals, key=list(refusals.Code).index)
