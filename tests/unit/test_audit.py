"""Parts of the audit that a whole ledger cannot show, or only slowly."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from random import Random

import orjson
import pytest

from services.ledger.audit.entry_checks import EntryFormat, SealedPart, seal_of
from services.ledger.audit.findings import Report
from services.ledger.audit.spill import DuplicateIds, SpillByPerson
from services.ledger.audit.stream_checks import PersonChecks, missing_disagreements
from services.ledger.audit.text_report import in_words, shortened
from services.ledger.audit.time_histogram import MOST, TimeHistogram
from services.ledger.fold import PersonState
from services.ledger.log import entry
from services.ledger.log.entry import StreamPosition, VerdictRecord
from services.ledger.log.merkle import Frontier
from services.ledger.log.tiles import tiles_of
from services.ledger.log.tree_builder import TreeBuilder
from services.ledger.plan.decide import RULES
from services.ledger.plan.model import Plan
from shared.crypto.jwe import Key
from shared.events.event import Event, Json
from tests.given import ADA, ada, again, change, sam, sam_may_propose
from tests.golden.make import HERE

KEY = Key(bytes(32))
ODD: list[object] = [None, [], {}, 1.5, "", -1, True, "\u0000"]
NOW = "2026-03-02T12:00:00.000Z"


class Clear:
    """Opens entries that this test sealed."""

    code = "sealed"

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()

    def begin(self, _log: int, _people: Iterable[str]) -> None:
        """Nothing is needed."""

    def open(self, told: Json, seal: SealedPart, _line: bytes) -> tuple[bytes, str | None]:
        posted = seal.open(KEY)
        return posted, entry.digest_of(entry.salt_of(KEY, told["author"], told["id"]), posted)

    def column_differences(self, _line: bytes) -> list[tuple[str, str]]:
        return []

    def check_stored_plans(
        self, _person: PersonState, _recorded: str
    ) -> list[tuple[str, str, str]]:
        return []

    def check_person_row(self, _person: PersonState) -> list[tuple[str, str, str]]:
        return []


def audit(*told: tuple[Event, int]) -> Report:
    """What is found in these accepted events, recorded with these versions."""
    report = Report()
    folding = PersonChecks(report, Clear())
    folding.begin(0, [ADA], {})
    for index, (event, version) in enumerate(told):
        standing = StreamPosition(index + 1, version)
        row = entry.write(event, VerdictRecord(RULES, NOW), key=KEY, position=standing)
        folding.check(index, row["leaf"], b"")
    folding.end()
    return report


def test_a_line_that_somebody_else_wrote_is_nobodys() -> None:
    report = audit((ada.starts(), 1), (ada.states(), 2), (sam.rewords("Lose weight."), 3))
    assert {each.code for each in report.findings} == {"authorship", "verdict", "fold"}
    (fold,) = [each for each in report.findings if each.code == "fold"]
    assert (fold.index, fold.person, fold.version) == (2, ADA, 3)
    assert fold.field.startswith("lines.aspiration/")
    assert in_words(report).endswith("0 accepted proposals, 0 denied, 1 nobody's")


def test_whose_the_lines_are_is_said_in_words() -> None:
    proposal = sam.proposes(change("action.planned", what="Walk", by=ADA))
    told = [ada.starts(), sam_may_propose, proposal, ada.accepts(proposal)]
    report = audit(*zip(told, (1, 1, 1, 2), strict=True))
    assert report.findings == []
    told_of = ada.starts()
    assert in_words(report) == (
        f"2 lines: 1 vouched for by {told_of.issuer} through {told_of.via}, "
        "1 accepted proposal, 0 denied, 0 nobody's"
    )


def test_a_disagreement_that_that_its_entry_lacks_is_named() -> None:
    plan = Plan(ADA, disagreements={"a": [{"entry": "b"}]})
    assert missing_disagreements(plan, [("a", "b")]) == []
    assert missing_disagreements(plan, [("a", "c"), ("d", "b")]) == [("a", "c"), ("d", "b")]


def test_an_event_recorded_twice_is_not_decided_as_a_new_one() -> None:
    event = ada.states()
    found = [each.code for each in audit((ada.starts(), 1), (event, 2), (event, 3)).findings]
    assert found == ["twice", "verdict"]
    assert again(event).id != event.id


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600, 65_536, 66_000])
def test_the_tree_has_the_root_and_the_tiles_that_its_leaves_have(size: int) -> None:
    leaves = [hashlib.sha256(number.to_bytes(4)).digest() for number in range(size)]
    tree, whole = TreeBuilder(), Frontier()
    tiles = []
    for leaf in leaves:
        tree.add(leaf)
        whole.append(leaf)
        if not tree.room:
            tiles += [tile for _, tile in tree.full()]
    tiles += [tile for tile, _ in tree.partial()]
    assert (tree.size, tree.frontier().root()) == (size, whole.root())
    assert sorted(tiles, key=str) == sorted(tiles_of(size), key=str)


@pytest.mark.parametrize("records", [10, 100_000])
def test_shelves_give_back_each_persons_entries_in_order(records: int) -> None:
    with SpillByPerson(records) as shelves:
        for index in range(3_000):
            shelves.put(f"person:p{index % 7}", index, b"x" * (index % 2_000), b"" * (index % 3))
        found: dict[str, list[int]] = {}
        for shelf in range(shelves.count):
            for index, leaf, _ in shelves.take(shelf):
                assert len(leaf) == index % 2_000
                assert f"person:p{index % 7}" in shelves.names[shelf]
                found.setdefault(f"person:p{index % 7}", []).append(index)
        assert shelves.holds("person:p3")
        assert not shelves.holds("person:p8")
    assert found == {f"person:p{who}": list(range(who, 3_000, 7)) for who in range(7)}


def test_names_that_came_twice_are_known_by_their_first_place() -> None:
    dice = Random(4)
    told = [dice.randrange(-(2**62), 2**62) for _ in range(40_000)]
    told += [told[11], told[12], told[11]]
    with DuplicateIds(len(told)) as names:
        for index, name in enumerate(told):
            names.put(name, index)
        assert names.find() == {told[11]: 11, told[12]: 12}


def test_a_long_course_is_told_in_few_steps() -> None:
    course = TimeHistogram()
    for day in range(28):
        for minute in range(24 * 60):
            course.add(f"2026-02-{day + 1:02}T{minute // 60:02}:{minute % 60:02}:00.000Z", 2, 1)
    bars = course.bars()
    assert len(bars) <= MOST
    assert course.step == "hour"
    assert sum(entries for _, entries, _ in bars) == 2 * 28 * 1440
    assert sum(refused for _, _, refused in bars) == 28 * 1440


@pytest.mark.parametrize("name", ["accepted", "own-refusal", "no-standing", "before-a-plan"])
def test_an_entry_of_another_form_is_none(name: str) -> None:
    good = orjson.loads((HERE / f"entry/{name}.json").read_bytes())

    def dumped(value: object) -> bytes:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)

    form = EntryFormat()
    assert form.read(dumped(good)) == good
    assert seal_of(good).kid
    for member in good:
        for odd in ODD:
            with pytest.raises((ValueError, KeyError, TypeError)):
                seal_of(form.read(dumped(good | {member: odd})))
        with pytest.raises((ValueError, KeyError, TypeError)):
            form.read(dumped({k: v for k, v in good.items() if k != member}))
    for member in ("onbehalfof", "refusal", "sequence", "planversion", "warnings"):
        with pytest.raises((ValueError, KeyError, TypeError)):
            form.read(dumped(good | {member: None}))
    for raw in (b"", b"{", b"[]", b"null", dumped(good) + b" ", b"\xff", b"[" * 60_000):
        with pytest.raises((ValueError, KeyError, TypeError, RecursionError)):
            form.read(raw)
    assert form.read(dumped(good)) == good


def heard(told: Json, kid: str) -> SealedPart | str:
    """What seals an entry, or why nothing does."""
    try:
        return seal_of(told, kid)
    except ValueError as fault:
        return str(fault)


@pytest.mark.parametrize("name", ["accepted", "no-standing"])
def test_a_seal_is_the_same_whichever_key_was_expected(name: str) -> None:
    good = orjson.loads((HERE / f"entry/{name}.json").read_bytes())
    text, kid = good["sealed"], seal_of(good).kid
    assert heard(good, kid) == heard(good, "") == heard(good, KEY.kid) != ""
    odd = [text[:at] + new + text[at + 1 :] for at in range(len(text)) for new in ("", ".", "-.")]
    odd += [text[:at] + new + text[at:] for at in range(len(text)) for new in ("A", "+", "\u00e9")]
    for each in [*odd, "", "....", text.replace("..", "."), text + ".", text[:-1], text[:-41]]:
        told = good | {"sealed": each}
        assert heard(told, kid) == heard(told, "")


def test_what_a_file_holds_cannot_move_the_cursor() -> None:
    assert shortened("a\x1b[2Jb\n") == "a?[2Jb?"
