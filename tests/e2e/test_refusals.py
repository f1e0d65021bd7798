"""Property 8: every refusal has a request that earns it, over HTTP, on each store; and a refused
event changes nothing but the history.

All but two: nobody can ask for `plan-erased` before there is erasure, nor for `our-fault` at all.
Every type's examples are posted in test_examples_http.py; here, one for each code is looked at.
`plan-full` takes 2 MiB of events, which no example shows; it has a test of its own.
"""

import pytest

from shared.events.catalogue import CATALOGUE
from shared.events.catalogue.examples import examples
from shared.events.event import Json
from shared.events.refusals import REASONS, Code
from tests.e2e.running import Up, event, somebody

pytestmark = pytest.mark.xdist_group("up")
NOT_ASKED_FOR = {Code.PLAN_ERASED, Code.PLAN_FULL, Code.OUR_FAULT}
EARNS: dict[str, Json] = {
    each["verdict"]: each for row in reversed(CATALOGUE.values()) for each in examples(row)
}


@pytest.mark.parametrize("code", [code for code in Code if code not in NOT_ASKED_FOR])
def test_a_refusal_has_a_request_that_earns_it(up: Up, code: Code) -> None:
    example = EARNS[code]
    author, told = example["author"], example["event"]
    person = told["subject"]
    for step in example["given"]:
        assert up.post(step["author"], step["event"]).status_code == 201
    before, history = up.get(person, "plan", person), up.history(person)
    answer = up.post(author, told)
    problem = answer.json()
    assert (answer.status_code, problem.get("code")) == (code.http_status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["recorded"] is True
    assert problem["detail"] == f"It was refused: {REASONS[code]}."
    again = up.post(author, told)  # the same bytes: the same entry, no second one
    assert again.json()["receipt"]["entry"] == problem["receipt"]["entry"]
    fate = up.get(author, f"events/{told['id']}", person).json()
    assert code in {each.get("refusal") for each in (fate, *fate.get("also", ()))}
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
    ada, sam = somebody(), somebody("partner")
    up.say(ada, "plan.started", dict(CATALOGUE["plan.started"].example), ada)
    up.say(ada, "access.granted", {**CATALOGUE["access.granted"].example, "to": sam}, ada)
    seen = {"who_saw": sam, "seen_or_heard": "x" * 16_000, "verbatim": "y" * 14_500}
    answers = [up.post(sam, event("observation.recorded", seen, ada)) for _ in range(69)]
    codes = [answer.json().get("code") for answer in answers]
    assert codes == [None] * 68 + ["plan-full"], "68 of them fit into 2 MiB"
    up.say(sam, "observation.recorded", {"who_saw": sam, "seen_or_heard": "Small."}, ada)
    up.say(ada, "observation.recorded", seen | {"who_saw": ada}, ada)


def test_no_refusal_is_left_out() -> None:
    assert EARNS.keys() | NOT_ASKED_FOR == {"accepted", *Code}


def test_everything_replays_to_the_same(up: Up) -> None:
    """Entries and keys alone give the same plans and the same verdicts, refusals too."""
    done = up.run("replay", "--all", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
