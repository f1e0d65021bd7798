"""Sending from an outbox: what lets an event go, what sets it aside, and what keeps it there."""

import json
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services.client.http import NoResponse, ServiceClient, body_of, events_in, subject_of
from services.client.outbox import Outbox
from services.client.sender import Delivery, Sender, delivery_line
from shared.crypto.jwe import b64url
from shared.errors import FirsthandError, SettingsError
from shared.events.event import Json, canonical
from shared.http.problems import PROBLEMS
from tests.answering import Answer, Answering, Request, Response, cut, half, status
from tests.integration.together import ADA, SEA, event

TOKEN = "a.token.of-hers"
SAID = [event("aspiration.stated", {**SEA, "id": f"sea-{n}"}) for n in range(3)]
BODIES = [body_of(each) for each in SAID]


def receipt_of(said: Json, **more: Any) -> Json:
    """A receipt as the ledger writes it, as far as an author checks it."""
    digest = sha256(b"salt" + canonical(said)).digest()
    members = {"id": said["id"], "author": ADA, "verdict": "accepted", "log": 0, "index": 7}
    named = {"salt": b64url(b"salt").decode(), "digest": b64url(digest).decode()}
    return {**members, **named, **more}


def deciding(heard: Request) -> Response:
    """An intake that accepts at once."""
    return 201, {}, json.dumps(receipt_of(json.loads(heard.body))).encode()


def safe(heard: Request) -> Response:
    """An intake that has the event, and does not say what becomes of it."""
    name = json.loads(heard.body)["id"]
    told = {"id": name, "durability": "fsync", "ledger": f"/people/{ADA}/events/{name}"}
    return 202, {}, json.dumps(told).encode()


def recorded(*listed: Json) -> Answer:
    """A ledger that has these receipts."""
    by_path = {f"/people/{ADA}/events/{each['id']}": each for each in reversed(listed)}

    def find(heard: Request) -> Response:
        found = by_path.get(heard.path)
        return (200, {}, json.dumps(found).encode()) if found else (404, {}, b"{}")

    return find


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """Three things that Ada said."""
    outbox = Outbox(tmp_path / "outbox")
    outbox.add(ADA, "", [(each["id"], body_of(each)) for each in SAID], "x")
    return outbox


Run = Callable[..., list[Delivery]]
NOT_THERE = status(404)


@pytest.fixture
def run(outbox: Outbox) -> Run:
    """Send what waits to an intake, with a ledger beside it."""

    def send(intake: Answering, ledger: Answer = NOT_THERE, **more: Any) -> list[Delivery]:
        with (
            Answering(ledger) as beside,
            closing(ServiceClient(intake.url)) as there,
            closing(ServiceClient(beside.url)) as reads,
        ):
            errand = Sender(TOKEN, there, reads, **{"retry_for": 0.5, "idle": 0.2, **more})
            return list(errand.run(outbox, outbox.waiting(ADA, ""), lambda _: None))

    return send


def waiting(outbox: Outbox) -> list[bytes]:
    """What is still there to be sent."""
    return [each.body for each in outbox.waiting(ADA, "")]


def test_they_go_in_their_order_over_one_connection_and_leave_with_their_receipts(
    outbox: Outbox, run: Run
) -> None:
    with Answering(deciding) as intake:
        fates = run(intake, wait=7)
    assert [each.body for each in intake.requests] == BODIES
    assert {each.headers["Prefer"] for each in intake.requests} == {"wait=7"}
    assert [(each.status, each.body["id"]) for each in fates] == [
        ("accepted", said["id"]) for said in SAID
    ]
    assert waiting(outbox) == []


def test_a_202_lets_nothing_go_until_the_ledger_has_it(outbox: Outbox, run: Run) -> None:
    with Answering(safe) as intake:
        fates = run(intake, recorded(receipt_of(SAID[0]), receipt_of(SAID[2])))
    assert [each.status for each in fates] == ["accepted", "safe", "accepted"]
    assert {"Prefer"} & set(intake.requests[0].headers) == set()
    assert waiting(outbox) == [BODIES[1]]


def test_a_refusal_is_a_fate_wherever_it_is_heard(outbox: Outbox, run: Run) -> None:
    because = {"refusal": "no-such-item", "because": "there is no such thing"}
    first, second = (receipt_of(each, verdict="refused", **because) for each in SAID[:2])
    problem = {"type": "/problems/refused", "recorded": True, "receipt": first}
    with Answering(status(409, problem), safe, deciding) as intake:
        fates = run(intake, recorded(second))
    by_id = {each.row.id: each for each in fates}
    assert [by_id[each["id"]].status for each in SAID] == ["refused", "refused", "accepted"]
    assert delivery_line(by_id[SAID[1]["id"]]).endswith(": there is no such thing.")
    assert waiting(outbox) == []


def test_of_two_events_under_one_id_each_has_its_own_receipt(run: Run) -> None:
    other = receipt_of({**SAID[0], "data": {"words": "Another."}})
    mine = receipt_of(SAID[0], verdict="refused", refusal="id-reused", because="so")
    with Answering(safe) as intake:
        fates = run(intake, recorded({**other, "also": [mine]}, other, receipt_of(SAID[1])))
    assert [each.status for each in fates] == ["refused", "accepted", "safe"]


NOT_NOW: dict[str, Answer] = {
    "cut": cut,
    "half": half,
    **{str(code): status(code) for code in (408, 425, 429, 500, 502, 503, 504)},
}


@pytest.mark.parametrize("not_now", NOT_NOW.values(), ids=NOT_NOW.keys())
def test_the_same_bytes_go_again_until_there_is_an_answer(
    not_now: Answer, outbox: Outbox, run: Run
) -> None:
    with Answering(deciding, not_now, not_now, deciding) as intake:
        fates = run(intake, retry_for=30)
    assert [each.body for each in intake.requests] == [BODIES[n] for n in (0, 1, 1, 1, 2)]
    assert [each.status for each in fates] == ["accepted"] * 3
    assert waiting(outbox) == []


@pytest.mark.parametrize("not_now", NOT_NOW.values(), ids=NOT_NOW.keys())
def test_who_gives_up_keeps_it_and_all_that_comes_after_it(
    not_now: Answer, outbox: Outbox, run: Run
) -> None:
    with Answering(deciding, not_now) as intake, pytest.raises(NoResponse):
        run(intake)
    assert len(intake.requests) > 2
    assert waiting(outbox) == BODIES[1:]


def test_it_does_not_come_back_before_it_was_asked_to(outbox: Outbox, run: Run) -> None:
    busy = status(503, Retry_After="100")
    with Answering(busy) as intake, pytest.raises(NoResponse, match="status 503"):
        run(intake, retry_for=50)
    assert len(intake.requests) == 1
    assert waiting(outbox) == BODIES


@pytest.mark.parametrize(
    "slug", ["malformed", "forbidden", "too-large", "unsupported-media-type", "invalid"]
)
def test_what_intake_cannot_take_is_set_aside_with_the_reason_and_the_rest_goes_on(
    slug: str, outbox: Outbox, run: Run
) -> None:
    faults = [{"pointer": "/data/words", "code": "missing", "detail": "Is missing."}]
    problem = {"type": f"/problems/{slug}", "detail": "It is wrong.", "errors": faults}
    with Answering(deciding, status(PROBLEMS[slug].status, problem), deciding) as intake:
        fates = run(intake)
    assert [each.status for each in fates] == ["accepted", "invalid", "accepted"]
    assert delivery_line(fates[1]).splitlines()[1].strip() == "/data/words: Is missing."
    left = [(each.body, each.aside) for each in outbox.rows()]
    assert left == [(BODIES[1], "/data/words: Is missing.")]
    with Answering(deciding) as intake:
        assert run(intake) == []
    assert intake.requests == []


DECIDED = {"type": "/problems/refused", "recorded": True}
NO_ANSWER_OF_OURS = {
    "a page of somebody else's": status(200, "<html>"),
    "a receipt of something else": status(201, receipt_of(SAID[0])),
    "a receipt of somebody else's": status(201, receipt_of(SAID[1], author="person:eve")),
    "a receipt that is none": status(200, {"id": SAID[1]["id"], "verdict": "accepted"}),
    "a refusal of something else": status(409, {**DECIDED, "receipt": receipt_of(SAID[2])}),
    "a refusal without its receipt": status(403, DECIDED),
    "another event's 202": status(202, {"id": SAID[0]["id"]}),
    "somebody else's 403": status(403, {"type": "about:blank", "detail": "No."}),
    "another address": status(404, {"type": "/problems/not-found", "detail": "No."}),
    "another place": status(302, Location="https://elsewhere.example/events"),
    "a list": status(422, []),
}


@pytest.mark.parametrize("odd", NO_ANSWER_OF_OURS.values(), ids=NO_ANSWER_OF_OURS.keys())
def test_what_intake_never_says_lets_nothing_go(odd: Answer, outbox: Outbox, run: Run) -> None:
    with (
        Answering(deciding, odd) as intake,
        pytest.raises(NoResponse, match="not from Firsthand's intake"),
    ):
        run(intake)
    assert len(intake.requests) == 2
    assert [(each.body, each.aside) for each in outbox.rows()] == [
        (each, None) for each in BODIES[1:]
    ]


def test_a_token_that_is_not_taken_sets_nothing_aside(outbox: Outbox, run: Run) -> None:
    problem = {"type": "/problems/unauthorized", "detail": "The token has expired."}
    with Answering(status(401, problem)) as intake, pytest.raises(SettingsError, match="expired"):
        run(intake)
    assert waiting(outbox) == BODIES


LEDGERS = {
    "gone": cut,
    "closed to this token": status(403),
    "behind": status(404),
    "odd": status(200, ["receipt"]),
    "of others": status(200, receipt_of({**SAID[0], "type": "plan.started"})),
}


@pytest.mark.parametrize("ledger", LEDGERS.values(), ids=LEDGERS.keys())
def test_without_an_answer_of_the_ledgers_they_are_safe_and_stay(
    ledger: Answer, outbox: Outbox, run: Run
) -> None:
    with Answering(safe) as intake:
        fates = run(intake, ledger)
    assert [each.status for each in fates] == ["safe"] * 3
    assert waiting(outbox) == BODIES
    with Answering(deciding) as intake:
        run(intake)
    assert [each.body for each in intake.requests] == BODIES


def test_what_was_handed_out_and_not_yet_removed_is_sent_again(outbox: Outbox) -> None:
    with Answering(deciding) as intake:
        errand = Sender(TOKEN, ServiceClient(intake.url), ServiceClient("http://127.0.0.1:9"))
        with closing(errand.run(outbox, outbox.waiting(ADA, ""), lambda _: None)) as fates:
            assert [next(fates).row.id, next(fates).row.id] == [each["id"] for each in SAID[:2]]
        errand.intake.close()
    assert waiting(outbox) == BODIES[1:]


# What is read from a file


def test_words_may_hold_a_line_separator() -> None:
    lines = "\n".join(json.dumps(each, ensure_ascii=False) for each in [{"a": "x\u2028y\x85z"}] * 2)
    assert events_in(lines) == [{"a": "x\u2028y\x85z"}] * 2


def test_half_a_surrogate_pair_is_left_for_intake_to_name() -> None:
    (read,) = events_in('{"words": "\\ud800"}')
    assert body_of(read) == b'{"words": "\\ud800"}'
    assert body_of({"words": "Zoë"}) == '{"words": "Zoë"}'.encode()


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "é.é.é", "e30.W10."])
def test_a_token_without_a_speaker_speaks_for_nobody(token: str) -> None:
    with pytest.raises(ValueError, match="no token that names a speaker"):
        subject_of(token)


def test_an_address_that_is_none_is_said_plainly() -> None:
    for url in (
        "",
        "nonsense",
        "http://127.0.0.1:9",
        "http://[::1",
        "http://here:x",
        "http://:9/",
        "ftp://a",
    ):
        with pytest.raises(FirsthandError):
            ServiceClient(url).send("/events", TOKEN)
