"""The plan as it was, what changed, and where words come from, over HTTP; on both stores."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from werkzeug.test import TestResponse

from services.cli.replay import steps
from services.ledger.queries.read_cache import ReadCache
from services.ledger.queries.reader import PAGE_BYTES, Reader
from services.ledger.store.database import transaction
from services.ledger.vault import Vault
from shared.events.event import Json
from tests.integration.together import (
    ADA,
    EVE,
    NAMES,
    SAM,
    SEA,
    STARTED,
    Together,
    body,
    event,
    pointers,
    problem,
)

GRANT: Json = {
    "to": SAM,
    "scopes": ["observe", "propose"],
    "until": "until-withdrawn",
    "purpose": "Walking",
    "wording": "Sam may.",
}
PATHS = ("plan?true-at=2126-03-02T12:02:00Z", "diff?from=0", "origins", "history")
LINES = "application/x-ndjson"


def at(minute: int) -> str:
    return f"2126-03-02T12:{minute:02}:00Z"


def words(plan: Json) -> list[str]:
    return [line["data"]["words"] for line in plan["lines"] if line["thing"] == "aspiration"]


@pytest.fixture
def lived(house: Together) -> Together:
    """Ada's plan, one of her wishes told late, and a suggestion taken up in other words."""
    house.post(ADA, "plan.started", STARTED)  # recorded at 12:01, received a minute before
    house.post(ADA, "aspiration.stated", SEA)  # 12:02
    house.post(ADA, "access.granted", GRANT)
    dance: Json = {"id": "dance", "words": "Dance."}
    house.post(ADA, "aspiration.stated", dance, time="2126-03-02T13:00:30+01:00")  # 12:04
    change = {"type": "action.planned", "data": {"what": "Walk 2,000 steps.", "by": ADA}}
    made = {"change": change, "why": "Why not?", "expires": "2127-03-02T12:00:00Z"}
    made = house.post(SAM, "proposal.made", made)
    mine = {"id": "walk", "what": "Walk to the bakery.", "by": ADA}
    taken = house.post(ADA, "proposal.accepted", {"proposal": made["id"], "in_my_words": mine})
    house.post(SAM, "aspiration.reworded", {"aspiration": "sea", "words": "Lose weight."})
    house.post(ADA, "aspiration.reworded", {"aspiration": "sea", "words": "Walk to the sea."})
    house.post(ADA, "disagreement.stated", {"entry": taken["id"], "words": "Too far, after all."})
    return house  # 12:10


def test_what_was_true_is_not_what_was_known(lived: Together) -> None:
    assert words(lived.plan(f"?true-at={at(1)}")) == [SEA["words"], "Dance."]
    assert words(lived.plan(f"?as-of={at(3)}")) == [SEA["words"]]
    assert words(lived.plan(f"?true-at={at(1)}&as-of={at(3)}")) == [SEA["words"]]
    assert words(lived.plan(f"?true-at={at(0)}")) == []
    problem(lived.get(ADA, "plan?true-at=2126-03-02T11:59:59Z"), 404, "not-found")


def test_what_is_true_at_the_end_is_what_is(lived: Together) -> None:
    assert lived.plan("?true-at=9999-12-31T00:00:00Z") == lived.plan()


def test_a_view_of_what_was_true_names_what_was_said_since(lived: Together) -> None:
    told = lived.plan(f"?true-at={at(7)}")
    [line] = [line for line in told["lines"] if line["id"] == "walk"]
    [pinned] = line["disagreements"]
    assert told["since"] == [pinned["entry"]]


def test_a_difference_from_nothing_to_now(lived: Together) -> None:
    told = lived.get(ADA, "diff?from=0").get_json()
    assert (told["from"], told["to"]) == (0, lived.plan()["version"])
    assert [(each["id"], each["change"]) for each in told["changes"]] == [
        ("plan", "added"),
        ("sea", "added"),
        ("dance", "added"),
        ("walk", "added"),
    ]


def test_a_difference_says_what_by_which_entry_and_what_was_said_of_it(lived: Together) -> None:
    told = lived.get(ADA, f"diff?from=2&to={at(11)}").get_json()
    by_name = {each["id"]: each for each in told["changes"]}
    sea, walk = by_name["sea"], by_name["walk"]
    [member] = sea["members"]
    [entry] = sea["entries"]
    assert member == {
        "member": "/data/words",
        "from": SEA["words"],
        "to": "Walk to the sea.",
        "entry": entry["id"],
    }
    assert (sea["change"], sea["changed_words"]) == ("changed", 2)
    assert entry["sentence"] == "You changed your words for what you want."
    for shown in (walk["origin"], walk["entries"][0]):
        assert [each["words"] for each in shown["disagreements"]] == ["Too far, after all."]


def test_a_difference_between_moments_is_one_between_versions(lived: Together) -> None:
    asked = (f"from={at(2)}&to={at(4)}", "from=2&to=3", f"from=2&to={at(4)}")
    answers = [lived.get(ADA, f"diff?{query}").get_json() for query in asked]
    assert answers[0] == answers[1] == answers[2]
    assert [each["id"] for each in answers[0]["changes"]] == ["dance"]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("diff", "/from"),
        ("diff?from=x", "/from"),
        ("diff?from=1&to=yesterday", "/to"),
        ("diff?from=3&to=2", "/from"),
        ("diff?from=1e3", "/from"),
        ("plan?true-at=now", "/true-at"),
        ("plan?version=1&true-at=2126-03-02T12:00:00Z", "/true-at"),
        ("origins?version=1&as-of=2126-03-02T12:00:00Z", "/as-of"),
        ("origins?true-at=2126-03-02T12:00:00Z", "/true-at"),
        ("plan?trueat=2126-03-02T12:00:00Z", "/trueat"),
        ("plan?from=1", "/from"),
        ("origins?a~/b=1", "/a~0~1b"),
        ("diff?from=0&version=2", "/version"),
        ("history?after=3", "/after"),
    ],
)
def test_what_makes_no_sense_is_a_422_with_the_place(
    small_house: Together, query: str, place: str
) -> None:
    for number in range(3):
        kind = "aspiration.stated" if number else "plan.started"
        small_house.post(ADA, kind, {"words": "Walk."} if number else STARTED)
    assert pointers(problem(small_house.get(ADA, query), 422, "invalid-query")) == [place]


@pytest.mark.parametrize("query", ["diff?from=9", "diff?from=0&to=0", "origins?version=9"])
def test_a_version_that_never_was_is_a_404(lived: Together, query: str) -> None:
    problem(lived.get(ADA, query), 404, "not-found")


def test_nobody_else_sees_any_of_it(lived: Together) -> None:
    for path in PATHS:
        for reader in (EVE, SAM):
            told = problem(lived.get(reader, path, Accept=LINES), 404, "not-found")
            there = problem(lived.get(reader, path, "person:nobody"), 404, "not-found")
            assert told == there
    problem(lived.get(ADA, "diff?from=0", "person:nobody"), 404, "not-found")


def test_the_same_answer_has_the_same_etag(lived: Together) -> None:
    for path in PATHS:
        etag = lived.get(ADA, path).headers["ETag"]
        assert lived.get(ADA, path, If_None_Match=etag).status_code == 304
        aloud = lived.get(ADA, path, Accept="text/plain", If_None_Match=etag)
        assert aloud.status_code == (304 if path == "history" else 200)


def test_every_line_says_who_wrote_it_and_who_vouched(lived: Together) -> None:
    told = {each["id"]: each for each in lived.get(ADA, "origins").get_json()["lines"]}
    walk, sea = told["walk"], told["sea"]
    assert walk["sentence"] == "Sam (nurse) suggested it; you changed 3 words."
    assert (walk["suggested_by"], walk["changed_words"], walk["issuer"]) == (SAM, 3, "local")
    assert [each["words"] for each in walk["disagreements"]] == ["Too far, after all."]
    assert sea["sentence"] == "You changed 2 words on 2 March 2126."
    assert [each["sentence"] for each in sea["earlier"]] == ["You wrote this on 2 March 2126."]
    before = lived.get(ADA, "origins?version=2").get_json()["lines"]
    assert [each["words"] for each in before] == ["Your plan", SEA["words"]]
    assert lived.get(ADA, f"origins?as-of={at(2)}").get_json()["lines"] == before


def test_it_is_told_aloud_with_what_is_said_of_it(lived: Together) -> None:
    for path in ("diff?from=2", "origins"):
        answer = lived.get(ADA, path, Accept="text/plain")
        assert answer.mimetype == "text/plain"
        after = answer.text[answer.text.index("- Walk to the bakery.") :]
        assert "  You disagreed: Too far, after all.\n" in after
        assert "Lose weight" not in answer.text


# A history in pages, an entry a line.


def test_a_history_comes_line_by_line(lived: Together) -> None:
    answer = lived.get(ADA, "history", Accept=LINES)
    assert (answer.mimetype, "Link" in answer.headers) == (LINES, False)
    assert [json.loads(line) for line in answer.text.splitlines()] == lived.history()
    again = lived.get(ADA, "history", Accept=LINES, If_None_Match=answer.headers["ETag"])
    assert again.status_code == 304
    late = lived.get(ADA, "history?cursor=5", Accept=LINES).text.splitlines()
    assert [json.loads(line) for line in late] == lived.history()[6:]
    assert lived.get(ADA, "history?cursor=99", Accept=LINES).text == ""


def wish(house: Together, words: list[str]) -> None:
    """Begin Ada's plan, and state her wishes, a hundred in a batch."""
    house.post(ADA, "plan.started", STARTED)
    wishes = [event("aspiration.stated", {"words": each}) for each in words]
    batch = {"Content_Type": "application/cloudevents-batch+json"}
    for start in range(0, len(wishes), 100):
        part = body(wishes[start : start + 100])
        assert house.door.send(part, ADA, **batch).status_code == 202
    assert house.drain() == len(words)


def linked(answer: TestResponse) -> str | None:
    """The query of the next page."""
    found = re.fullmatch(r'<(\?[^>]+)>; rel="next"', answer.headers.get("Link", ""))
    assert found or "Link" not in answer.headers
    return found[1] if found else None


@pytest.mark.parametrize("accept", [LINES, "application/json"])
def test_a_history_as_lines_is_never_one_endless_answer(small_house: Together, accept: str) -> None:
    """A reader who takes nothing of it would hold a thread for as long as they like."""
    wish(small_house, [f"Wish {each}." for each in range(1100)])
    pages, query = list[list[Json]](), "?limit=999999"
    while query:
        answer = small_house.get(ADA, f"history{query}", Accept=accept)
        assert answer.headers["Content-Length"] == str(len(answer.data))
        lines = [json.loads(line) for line in answer.text.splitlines()]
        pages.append(lines if accept == LINES else lines[0]["entries"])
        query = linked(answer) or ""
        assert accept == LINES or (lines[0].get("next") is None) == (not query)
    assert [len(page) for page in pages] == [500, 500, 101]
    assert [each["index"] for page in pages for each in page] == list(range(1101))


def test_a_page_is_bounded_in_bytes(small_house: Together) -> None:
    wish(small_house, ["Sea. " * 3900] * 110)  # 20 kB each
    first = small_house.get(ADA, "history", Accept=LINES)
    second = small_house.get(ADA, f"history{linked(first)}", Accept=LINES)
    third = small_house.get(ADA, f"history{linked(second)}", Accept=LINES)
    told = [
        json.loads(line)["index"]
        for each in (first, second, third)
        for line in each.data.splitlines()
    ]
    assert told == list(range(111))
    assert max(len(each.data) for each in (first, second, third)) < 2 * PAGE_BYTES
    assert linked(third) is None


# Step by step, as `replay --step` tells it.


def reading(house: Together, kept: ReadCache) -> Iterator[Reader]:
    vault = Vault.from_folder(house.settings.key_folder)
    with transaction(house.reader) as connection:
        yield Reader(connection, vault, 0, ADA, kept)


def test_steps_tell_each_entry_its_verdict_and_what_it_changed(lived: Together) -> None:
    kept = ReadCache()
    told = list(steps(contextmanager(lambda: reading(lived, kept)), NAMES))
    assert [
        {name: value for name, value in each.items() if name != "changes"} for each, _ in told
    ] == lived.history()
    changed = [[one["id"] for one in each.get("changes", ())] for each, _ in told]
    assert changed == [["plan"], ["sea"], [], ["dance"], [], ["walk"], [], ["sea"], []]
    texts = ["\n".join(text) for _, text in told]
    assert texts[6] == (
        "Sam (nurse) tried to change your words; it was refused: only you may say this.\n"
        "Entry 6, 2126-03-02 12:07:00: refused (not-yours-to-say). The plan has version 4."
    )
    assert "Entry 3, 2126-03-02 12:04:00, for 2126-03-02 12:00:30: accepted." in texts[3]
    assert texts[7].endswith(
        "- Walk to the sea.\n  Before: Walk to the sea again.\n  2 words are different."
    )
    assert "You disagreed: Too far, after all.\n" in texts[5]
