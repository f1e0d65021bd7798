"""Property 8: every refusal has a request that causes it, over HTTP, on each store.

A refused event changes only the history. Two codes are excepted: no request causes `plan-erased`
before erasure exists, and none causes `our-fault`. All examples of all types are posted in
test_examples_http.py; here, one example of each code is checked in detail. `plan-full` takes 2 MiB
of events, which no example has; it has its own test.
"""

import pytest

from shared.events.catalogue import CATALOGUE
from shared.events.catalogue.examples import examples
from shared.events.event import Json
from shared.events.refusals import REASONS, Code
from tests.e2e.running import Up, event, new_id

pytestmark = pytest.mark.xdist_group("up")
NOT_COVERED = {Code.PLAN_ERASED, Code.PLAN_FULL, Code.OUR_FAULT}
EARNS: dict[str, Json] = {
    example["verdict"]: example for row in reversed(CATALOGUE.values()) for example in examples(row)
}


@pytest.mark.parametrize("code", [code for code in Code if code not in NOT_COVERED])
def test_a_refusal_has_a_request_that_earns_it(up: Up, code: Code) -> None:
    example = EARNS[code]
    author, posted = example["author"], example["event"]
    person = posted["subject"]
    for step in example["given"]:
        assert up.post(step["author"], step["event"]).status_code == 201
    before, history = up.get(person, "plan", person), up.history(person)
    answer = up.post(author, posted)
    problem = answer.json()
    assert (answer.status_code, problem.get("code")) == (code.http_status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["recorded"] is True
    assert problem["detail"] == f"It was refused: {REASONS[code]}."
    again = up.post(author, posted)  # the same bytes: the same entry
    assert again.json()["receipt"]["entry"] == problem["receipt"]["entry"]
    fate = up.get(author, f"events/{posted['id']}", person).json()
    assert code in {row.get("refusal") for row in (fate, *fate.get("also", ()))}
    *same, attempt = up.history(person)
    assert same == history
    assert (attempt["refusal"], attempt["verdict"]) == (code, "refused")
    assert ("words" in attempt) <= code.standing
    after = up.get(person, "plan", person)
    assert (after.content, after.headers.get("etag")) == (
        before.content,
        before.headers.get("etag"),
    )


def test_a_plan_that_others_have_filled_takes_no_more_of_theirs_and_still_the_persons(
    up: Up,
) -> None:
    ada, sam = new_id(), new_id("partner")
    up.say(ada, "plan.started", dict(CATALOGUE["plan.started"].example), ada)
    up.say(ada, "access.granted", {**CATALOGUE["access.granted"].example, "to": sam}, ada)
    seen = {"who_saw": sam, "seen_or_heard": "x" * 16_000, "verbatim": "y" * 14_500}
    answers = [up.post(sam, event("observation.recorded", seen, ada)) for _ in range(69)]
    codes = [answer.json().get("code") for answer in answers]
    assert codes == [None] * 68 + ["plan-full"], "68 of them fit into 2 MiB"
    up.say(sam, "observation.recorded", {"who_saw": sam, "seen_or_heard": "Small."}, ada)
    up.say(ada, "observation.recorded", seen | {"who_saw": ada}, ada)


def test_no_refusal_is_left_out() -> None:
    assert EARNS.keys() | NOT_COVERED == {"accepted", *Code}


def test_everything_replays_to_the_same(up: Up) -> None:
    """Entries and keys alone give the same plans and the same verdicts, also the refusals."""
    done = up.run("replay", "--all", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
