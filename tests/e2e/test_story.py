"""The three lines that `up` prints tell a story; what other people's software posts arrives."""

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.v1.event import CloudEvent

from shared.events.event import Json
from tests.e2e.running import Up, event, somebody

pytestmark = pytest.mark.xdist_group("up")
STARTED = {"name_to_use": "Ada", "language": "en"}
SEA = {"id": "sea", "words": "Walk to the sea again."}
REWORD = {"aspiration": "sea", "words": "Lose weight."}


def test_the_three_lines_tell_the_story(up: Up) -> None:
    """Once on each store: Ada's is the only name that these tests share."""
    first, second, third = up.lines
    ada = up.shell(first)
    assert (ada.returncode, ada.stderr) == (0, "")
    assert [line.split()[:2] for line in ada.stdout.splitlines()] == [
        ["accepted", "plan.started"],
        ["accepted", "aspiration.stated"],
    ]
    sam = up.shell(second)
    assert (sam.returncode, sam.stderr) == (1, "")
    assert sam.stdout.startswith("refused   aspiration.reworded ")
    assert "only the person may say this" in sam.stdout
    read = up.shell(third)
    assert (read.returncode, read.stderr) == (0, "")
    plan, _, history = read.stdout.partition("\n20")
    assert plan.splitlines()[0] == "The plan of Ada. Version 2."
    assert "Walk to the sea again." in plan
    attempt = "Sam tried to change your words; it was refused: only you may say this."
    assert history.rstrip().endswith(attempt)
    assert "Lose weight" not in read.stdout


def test_the_printed_tokens_are_good_for_their_roles(up: Up) -> None:
    roles = {"person:ada", "partner:sam", "service:bot", "auditor:kim", "operator:lee"}
    assert up.tokens.keys() == roles
    told, statuses = event("plan.started", STARTED, somebody()), {}
    for subject, bearer in up.tokens.items():
        headers = {
            "Authorization": f"Bearer {bearer}",
            "Content-Type": "application/cloudevents+json",
        }
        answer = up.client.post(f"{up.intake}/events", json=told, headers=headers)
        statuses[subject.partition(":")[0]] = answer.status_code
    assert statuses == {
        "person": 202,
        "partner": 202,
        "service": 202,
        "auditor": 403,
        "operator": 403,
    }


def test_the_official_sdk_posts_events_that_arrive(up: Up) -> None:
    ada = somebody()
    sent = [("plan.started", STARTED), ("aspiration.stated", {**SEA, "words": "Zum Meer, 海へ 😀"})]
    for kind, data in sent:
        attributes = {"source": "/sdk", "type": kind, "subject": ada, "time": datetime.now(UTC)}
        whole = CloudEvent(
            {**attributes, "id": event(kind, data, ada)["id"], "specversion": "1.0"}, data
        )
        message = to_structured_event(whole)
        answer = up.client.post(
            f"{up.intake}/events",
            content=message.body,
            headers={**up.bearer(ada), **message.headers, "Prefer": "wait=20"},
        )
        assert answer.status_code == 201, answer.text
        assert answer.json()["id"] == whole.get_id()
    plan = up.get(ada, "plan", ada).json()
    assert plan["lines"][1]["data"]["words"] == "Zum Meer, 海へ 😀"


def begun(up: Up) -> str:
    """Somebody with a plan, who says what they want."""
    ada = somebody()
    up.say(ada, "plan.started", STARTED, ada)
    up.say(ada, "aspiration.stated", SEA, ada)
    return ada


def granted(up: Up, ada: str, partner: str, *scopes: str) -> None:
    """Somebody allows a partner something."""
    wording = {"purpose": "Walking", "wording": "As agreed.", "until": "until-withdrawn"}
    up.say(ada, "access.granted", {"to": partner, "scopes": list(scopes), **wording}, ada)


@pytest.mark.parametrize("who", ["another person", "a stranger", "a service", "a partner"])
def test_nobody_else_rewords_what_a_person_wants(up: Up, who: str) -> None:
    """Plan bytes and ETag stay; the attempt is one sentence in the history, without its words."""
    ada = begun(up)
    author = {
        "another person": somebody(),
        "a stranger": somebody("partner"),
        "a service": somebody("service"),
        "a partner": somebody("partner"),
    }[who]
    if who == "another person":
        up.say(author, "plan.started", STARTED, author)
    if who == "a partner":  # with a grant for everything else
        granted(up, ada, author, "read", "observe", "interpret", "propose", "audit")
    before, history = up.get(ada, "plan", ada), up.history(ada)
    aloud = up.get(ada, "plan", ada, Accept="text/plain")
    answer = up.post(author, event("aspiration.reworded", REWORD, ada))
    told = answer.json()
    assert (answer.status_code, told["code"]) == (403, "not-yours-to-say")
    assert (told["recorded"], "Lose weight" in answer.text) == (True, False)
    after = up.get(ada, "plan", ada)
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
    assert up.get(ada, "plan", ada, Accept="text/plain").content == aloud.content
    *same, attempt = up.history(ada)
    assert same == history
    assert_attempt(attempt, author, "tried to change your words", "only you may say this")


def assert_attempt(told: Json, author: str, tried: str, because: str) -> None:
    """One sentence, nobody's words."""
    assert told["author"] == author
    assert tried in told["sentence"]
    assert told["sentence"].endswith(f"it was refused: {because}.")
    assert "Lose weight" not in json.dumps(told)


def test_a_grant_for_something_else_opens_nothing_else(up: Up) -> None:
    ada, sam = begun(up), somebody("partner")
    granted(up, ada, sam, "observe")
    before = up.get(ada, "plan", ada).headers["etag"]
    change = {"type": "aspiration.reworded", "data": REWORD}
    made = {"change": change, "why": "Lose weight.", "expires": "2999-01-01T00:00:00Z"}
    answer = up.post(sam, event("proposal.made", made, ada))
    assert (answer.status_code, answer.json()["code"]) == (403, "no-grant")
    assert up.get(ada, "plan", ada).headers["etag"] == before
    assert_attempt(up.history(ada)[-1], sam, "tried to suggest a change", "you have not allowed it")


def test_nobody_else_reads_it(up: Up) -> None:
    ada, sam = begun(up), somebody("partner")
    granted(up, ada, sam, "read")
    absent = up.get(ada, "plan", somebody())
    for path in ("plan", "history"):
        for reader in (sam, somebody(), "auditor:kim", "operator:lee"):
            answer = up.get(reader, path, ada)
            assert (answer.status_code, answer.content) == (404, absent.content)


def test_a_body_in_chunks_is_read(up: Up) -> None:
    """HTTP/1.1 has bodies without a length (RFC 9112, 7.1)."""
    ada = somebody()
    body = json.dumps(event("plan.started", STARTED, ada)).encode()
    headers = {
        **up.bearer(ada),
        "Content-Type": "application/cloudevents+json",
        "Prefer": "wait=20",
    }
    chunks = (body[at : at + 50] for at in range(0, len(body), 50))
    answer = up.client.post(f"{up.intake}/events", content=chunks, headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("size", [80_000, 900_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_a_413(up: Up, size: int, chunked: bool) -> None:
    headers = {**up.bearer(somebody()), "Content-Type": "application/cloudevents+json"}
    body = b" " * size
    content = (body[at : at + 10_000] for at in range(0, size, 10_000)) if chunked else body
    answer = up.client.post(f"{up.intake}/events", content=content, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


def test_a_compressed_body_is_a_415_whatever_is_in_it(up: Up) -> None:
    headers = {**up.bearer(somebody()), "Content-Type": "application/cloudevents+json"}
    headers["Content-Encoding"] = "gzip"
    answer = up.client.post(f"{up.intake}/events", content=b"\x1f\x8b", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media-type")
