"""Shapes: strict numbers, strict booleans, names, words and times."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.events.catalogue import CATALOGUE
from shared.events.schema_fields import is_valid, parse_time

NOT_WHOLE = [7.0, 7.5, "7", True, False, None, [7], {}, float("nan"), 2**70]
NOT_BOOLEAN = [0, 1, "true", "false", "yes", "", None, [], 1.0]


def with_(kind: str, **members: Any) -> dict[str, Any]:
    """The example of a type, with other members."""
    return {**CATALOGUE[kind].example, **members}


def takes(kind: str, **members: Any) -> bool:
    """True when the example of the type still fits its shape with these members."""
    return is_valid(CATALOGUE[kind].schema, with_(kind, **members))


@pytest.mark.parametrize("number", range(1, 11))
def test_importance_is_a_whole_number_from_one_to_ten(number: int) -> None:
    assert takes("aspiration.stated", importance=number)
    assert takes("action.planned", confidence=number)


@pytest.mark.parametrize("number", [0, 11, -1, *NOT_WHOLE], ids=repr)
def test_nothing_else_is_an_importance(number: object) -> None:
    assert not takes("aspiration.stated", importance=number)
    assert not takes("action.planned", confidence=number)


@pytest.mark.parametrize("value", [True, False])
def test_true_and_false_are_booleans(value: bool) -> None:
    assert takes("proposal.made", their_words=value)


@pytest.mark.parametrize("value", NOT_BOOLEAN, ids=repr)
def test_nothing_else_is_a_boolean(value: object) -> None:
    assert not takes("proposal.made", their_words=value)


@pytest.mark.parametrize("words", ["I", "\u00e9", "e\u0301", "😀" * 5_000, "a\nb\tc", "\u2028 x"])
def test_words_are_any_words(words: str) -> None:
    assert takes("aspiration.stated", words=words)


@pytest.mark.parametrize("words", ["", " ", "\n\t\u3000", "a" * 20_001, 7, True, None, ["a"], {}])
def test_words_are_not_blank_nor_endless_nor_anything_but_text(words: object) -> None:
    assert not takes("aspiration.stated", words=words)


@pytest.mark.parametrize("name", ["a", "walk-to-the-sea", "A.b_c-9", "9" * 64, "a."])
def test_a_name_is_a_slug(name: str) -> None:
    assert takes("aspiration.stated", id=name)


@pytest.mark.parametrize("name", ["", "-a", ".", "a" * 65, "a b", "a/b", "a\n", "é", "a\0", "٣"])
def test_nothing_else_is_a_slug(name: str) -> None:
    assert not takes("aspiration.stated", id=name)


@pytest.mark.parametrize("who", ["person:ada", "partner:sam", "person:" + "x" * 64, "partner:..."])
def test_an_action_is_for_the_person_or_a_partner(who: str) -> None:
    assert takes("action.planned", by=who)


@pytest.mark.parametrize(
    "who",
    ["ada", "person:", "person:" + "x" * 65, "service:shoes", "team:a", "person:ada\n", "person:é"],
)
def test_an_action_is_for_nobody_else(who: str) -> None:
    assert not takes("action.planned", by=who)


@pytest.mark.parametrize("scopes", [[], ["write"], ["read"] * 6, "read", [None], [["read"]], None])
def test_a_grant_names_at_least_one_known_scope(scopes: object) -> None:
    assert not takes("access.granted", scopes=scopes)


@pytest.mark.parametrize("to", ["partner:sam", "team:north", "emergency"])
def test_a_grant_is_to_a_partner_a_team_or_anybody_in_an_emergency(to: str) -> None:
    assert takes("access.granted", to=to)


@pytest.mark.parametrize("to", ["person:eve", "service:shoes", "emergency:a", "Emergency", "team:"])
def test_a_grant_is_to_nobody_else(to: str) -> None:
    assert not takes("access.granted", to=to)


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("access.granted", {"parts": []}),
        ("access.granted", {"parts": ["diagnoses"]}),
        ("aspirations.ranked", {"order": []}),
        ("aspirations.ranked", {"order": ["a"] * 101}),
        ("safety-plan.written", {"sections": []}),
        ("safety-plan.written", {"sections": [{"heading": "What helps"}]}),
        ("safety-plan.written", {"contacts": [{"name": "Mrs Hill", "reach": " "}]}),
        ("representative.named", {"scope": []}),
        ("representative.named", {"scope": ["plan.ended"]}),
        ("representative.named", {"representative": "service:shoes"}),
        ("representative.named", {"until": "soon"}),
        ("service.barred", {"service": "partner:sam"}),
        ("service.barred", {"service": "shoes"}),
        ("question.asked", {"to": "service:shoes"}),
        ("question.answered", {"basis": {"kind": "rumour"}}),
        ("question.answered", {"basis": {"kind": "opinion", "because": "so"}}),
        ("commitment.made", {"due": "until-withdrawn"}),
        ("advance-choice.departed-from", {"alternatives_tried": []}),
        ("interpretation.offered", {"based_on": "an-entry"}),
        ("interpretation.offered", {"holder": "a nurse"}),
    ],
)
def test_parts_of_data_are_as_strict_as_the_whole(kind: str, members: dict[str, Any]) -> None:
    assert not takes(kind, **members)


@pytest.mark.parametrize("source", ["https://example.org/a?b=c#d", "https://x"])
def test_a_source_is_an_https_address(source: str) -> None:
    assert takes("question.answered", basis={"kind": "evidence", "sources": [source]})


@pytest.mark.parametrize(
    "source",
    ["http://example.org", "https://", "https://a b", "ftp://a", "https://é", "https://a\n", 7],
)
def test_nothing_else_is_a_source(source: object) -> None:
    assert not takes("question.answered", basis={"kind": "evidence", "sources": [source]})


@pytest.mark.parametrize("bound", [-1_000_000, 0, 1_000_000])
def test_a_scale_has_whole_ends(bound: int) -> None:
    assert takes("measure.defined", min=bound, max=bound)  # whether it rises is the ledger's to say
    assert takes("measure.rated", value=bound)


@pytest.mark.parametrize("bound", [-1_000_001, 1_000_001, *NOT_WHOLE], ids=repr)
def test_nothing_else_is_an_end_of_a_scale(bound: object) -> None:
    assert not takes("measure.defined", min=bound)
    assert not takes("measure.rated", value=bound)


@pytest.mark.parametrize("number", [0, -1, 1_000_001, *NOT_WHOLE], ids=repr)
def test_a_version_counts_from_one(number: object) -> None:
    assert not takes("measure.rated", version=number)


@pytest.mark.parametrize("change", [None, [], {}, "x", {"type": "a"}, {"type": "a", "data": []}])
def test_a_change_has_a_type_and_data(change: object) -> None:
    assert not takes("proposal.made", change=change)


@pytest.mark.parametrize("language", ["en", "en-GB", "zh-Hant-TW", "cy", "x-welsh"][:4])
def test_a_language_is_a_tag(language: str) -> None:
    assert takes("plan.started", language=language)


@pytest.mark.parametrize("language", ["", "e", "en_GB", "english!", "en-", "en\n", "été"])
def test_nothing_else_is_a_language(language: str) -> None:
    assert not takes("plan.started", language=language)


GOOD_TIMES = [
    ("2026-03-02T12:00:00Z", "2026-03-02T12:00:00+00:00"),
    ("2026-03-02T12:00:00.5Z", "2026-03-02T12:00:00.500000+00:00"),
    ("2026-03-02T12:00:00.123456Z", "2026-03-02T12:00:00.123456+00:00"),
    ("2026-03-02T12:00:00.123456999Z", "2026-03-02T12:00:00.123456+00:00"),
    ("2026-03-02T12:00:00-00:00", "2026-03-02T12:00:00+00:00"),
    ("2026-03-02T12:00:00+23:59", "2026-03-02T12:00:00+23:59"),
    ("2028-02-29T23:59:59-05:30", "2028-02-29T23:59:59-05:30"),
    ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
    ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999+00:00"),
]
BAD_TIMES = [
    "",
    "until-withdrawn",
    "2026-03-02",
    "2026-03-02T12:00Z",
    "2026-03-02T12:00:00",
    "2026-03-02T12:00:00 Z",
    "2026-03-02 12:00:00Z",
    "2026-03-02t12:00:00z",
    "2026-03-02T12:00:00z",
    "2026-03-02T12:00:00.Z",
    "2026-03-02T12:00:00.1234567890Z",
    "2026-03-02T12:00:00,5Z",
    "2026-03-02T24:00:00Z",
    "2026-03-02T12:60:00Z",
    "2026-12-31T23:59:60Z",
    "2026-02-29T12:00:00Z",
    "2026-13-01T12:00:00Z",
    "2026-00-01T12:00:00Z",
    "2026-01-00T12:00:00Z",
    "0000-01-01T12:00:00Z",
    "2026-03-02T12:00:00+24:00",
    "2026-03-02T12:00:00+0100",
    "2026-03-02T12:00:00+01",
    "2026-03-02T12:00:00+01:00:00",
    "2026-03-02T12:00:00Z\n",
    " 2026-03-02T12:00:00Z",
    "+2026-03-02T12:00:00Z",
    "20260302T120000Z",
    "2026-W10-1T12:00:00Z",
    "٢٠٢٦-03-02T12:00:00Z",
    "1772452800",
]


@pytest.mark.parametrize(("text", "iso"), GOOD_TIMES)
def test_a_time_is_rfc_3339_with_an_offset(text: str, iso: str) -> None:
    assert parse_time(text).isoformat() == iso
    assert takes("proposal.made", expires=text)
    assert takes("access.granted", until=text)


@pytest.mark.parametrize("text", BAD_TIMES)
def test_anything_else_is_refused_without_a_crash(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)
    assert not takes("proposal.made", expires=text)
    assert takes("access.granted", until=text) == (text == "until-withdrawn")


@pytest.mark.parametrize("moment", [None, 7, True, [], {}, 1772452800])
def test_a_time_is_a_text(moment: object) -> None:
    assert not takes("proposal.made", expires=moment)
    assert not takes("access.granted", until=moment)


def test_digits_of_a_time_are_ascii_also_where_they_are_cut_off() -> None:
    assert not takes("proposal.made", expires="2026-03-02T12:00:00.123456٧Z")


def test_an_offset_has_less_than_sixty_minutes() -> None:
    assert not takes("proposal.made", expires="2026-03-02T12:00:00+00:60")


@given(st.datetimes(), st.integers(-1439, 1439))
def test_any_moment_that_python_can_write_is_read_back(moment: datetime, minutes: int) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(there.isoformat()) == there


@given(st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z"))
@example("9999-12-31T23:59:59-23:59")
@example("0001-01-01T00:00:00+23:59")
def test_what_looks_like_a_time_is_one_or_a_value_error(text: str) -> None:
    try:
        moment = parse_time(text)
    except ValueError:
        return
    assert moment.tzinfo is not None
    assert (moment <= parse_time("2026-03-02T12:00:00Z")) in (True, False)
