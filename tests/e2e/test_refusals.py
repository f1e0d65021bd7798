"""Property 8: every refusal has a request that earns it, over HTTP, on each store.

All but two: nobody can ask for `plan-erased` before there is erasure, nor for `our-fault` at all.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from shared.event import Json
from shared.refusals import BECAUSE, Code
from tests.e2e.running import Up, event, somebody

pytestmark = pytest.mark.xdist_group("up")
STARTED = {"name_to_use": "Ada", "language": "en"}
SEA = {"id": "sea", "words": "Walk to the sea again."}
TEA = {"type": "action.planned", "data": {"id": "tea", "what": "Tea", "by": "partner:sam"}}
GRANT = {"scopes": ["observe", "propose"], "until": "until-withdrawn", "purpose": "x"}
SOON, PAST = "2999-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
EARNED: Counter[str] = Counter()


@dataclass(frozen=True)
class House:
    """Ada, who has a plan and wants to walk to the sea, and Sam, who may observe and propose."""

    up: Up
    ada: str
    sam: str

    def proposal(self, expires: str = SOON) -> str:
        """Sam suggests tea; the proposal's id."""
        made = {"change": TEA, "why": "Company.", "expires": expires}
        return str(self.up.say(self.sam, "proposal.made", made, self.ada)["id"])

    def by_ada(self, kind: str, data: Json, **more: object) -> tuple[str, Json]:
        """What Ada posts, and is refused."""
        return self.ada, event(kind, data, self.ada, **more)

    def by_sam(self, kind: str, data: Json) -> tuple[str, Json]:
        """What Sam posts, and is refused."""
        return self.sam, event(kind, data, self.ada)

    def id_reused(self) -> tuple[str, Json]:
        """Another event under the id of one that was accepted."""
        first = self.up.say(self.ada, "aspiration.stated", {"words": "Sleep."}, self.ada)
        return self.by_ada("aspiration.stated", {"words": "Rest."}, id=first["id"])

    def already_answered(self) -> tuple[str, Json]:
        """Yes to what was declined."""
        answer = {"proposal": self.proposal()}
        self.up.say(self.ada, "proposal.declined", answer, self.ada)
        return self.by_ada("proposal.accepted", answer)

    def wrong_state(self) -> tuple[str, Json]:
        """To let go of what was let go."""
        self.up.say(self.ada, "aspiration.let-go", {"aspiration": "sea"}, self.ada)
        return self.by_ada("aspiration.let-go", {"aspiration": "sea"})

    def nobody(self) -> tuple[str, Json]:
        """Words of somebody who never started a plan."""
        person = somebody()
        return person, event("aspiration.stated", SEA, person)


REWORDED: Json = {"aspiration": "sea", "words": "Lose weight."}
NO_CHANGE: Json = {"change": {"type": "plan.started", "data": {}}, "why": "x", "expires": SOON}
REQUESTS: dict[Code, Callable[[House], tuple[str, Json]]] = {
    Code.NOT_YOURS_TO_SAY: lambda house: house.by_sam("aspiration.reworded", REWORDED),
    Code.NO_GRANT: lambda house: (
        somebody("partner"),
        event("observation.recorded", {"who_saw": "x", "verbatim": "y"}, house.ada),
    ),
    Code.NO_SUCH_PLAN: House.nobody,
    Code.ID_REUSED: House.id_reused,
    Code.VERSION_CONFLICT: lambda house: house.by_ada(
        "aspiration.stated", {"words": "Sleep."}, expectedversion=1
    ),
    Code.PLAN_EXISTS: lambda house: house.by_ada("plan.started", STARTED),
    Code.UNKNOWN_TARGET: lambda house: house.by_ada("action.done", {"action": "nothing"}),
    Code.EXISTS: lambda house: house.by_ada("aspiration.stated", SEA),
    Code.UNCHANGED: lambda house: house.by_ada(
        "aspiration.reworded", {"aspiration": "sea", "words": SEA["words"]}
    ),
    Code.WRONG_STATE: House.wrong_state,
    Code.LAPSED: lambda house: house.by_ada(
        "proposal.accepted", {"proposal": house.proposal(PAST)}
    ),
    Code.ALREADY_ANSWERED: House.already_answered,
    Code.INVALID_CHANGE: lambda house: house.by_sam("proposal.made", NO_CHANGE),
    Code.MISSING_OBSERVABLE: lambda house: house.by_sam("observation.recorded", {"who_saw": "x"}),
    Code.WORDING_MISSING: lambda house: house.by_ada("access.granted", {"to": house.sam, **GRANT}),
}
NOT_ASKED_FOR = {Code.PLAN_ERASED, Code.OUR_FAULT}


@pytest.fixture
def house(up: Up) -> House:
    """Ada and Sam, new for each test."""
    ada, sam = somebody(), somebody("partner")
    up.say(ada, "plan.started", STARTED, ada)
    up.say(ada, "aspiration.stated", SEA, ada)
    up.say(ada, "access.granted", {"to": sam, "wording": "As agreed.", **GRANT}, ada)
    return House(up, ada, sam)


@pytest.fixture(scope="module", autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Says at the end how often each refusal was earned."""
    yield
    said = ", ".join(f"{code} {count}" for code, count in sorted(EARNED.items()))
    plugins = request.config.pluginmanager
    terminal, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
    if terminal is not None and capture is not None:  # a worker of xdist has no terminal
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(f"refusals earned over HTTP: {said}")


@pytest.mark.parametrize("code", REQUESTS)
def test_a_refusal_has_a_request_that_earns_it(house: House, code: Code) -> None:
    author, told = REQUESTS[code](house)
    person = told["subject"]
    before = house.up.get(person, "plan", person)
    history = house.up.history(person)
    answer = house.up.post(author, told)
    problem = answer.json()
    assert (answer.status_code, problem.get("code")) == (code.http_status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["recorded"] is True
    assert problem["detail"] == f"It was refused: {BECAUSE[code]}."
    again = house.up.post(author, told)  # the same bytes: the same entry, no second one
    assert again.json()["receipt"]["entry"] == problem["receipt"]["entry"]
    fate = house.up.get(author, f"events/{told['id']}", person).json()
    assert code in {each.get("refusal") for each in (fate, *fate.get("also", ()))}
    *same, attempt = house.up.history(person)
    assert same == history
    assert (attempt["refusal"], attempt["verdict"]) == (code, "refused")
    assert ("words" in attempt) <= code.standing
    after = house.up.get(person, "plan", person)
    assert (after.content, after.headers.get("etag")) == (
        before.content,
        before.headers.get("etag"),
    )
    EARNED[code] += 1


def test_no_refusal_is_left_out() -> None:
    assert REQUESTS.keys() | NOT_ASKED_FOR == set(Code)


def test_everything_replays_to_the_same(up: Up) -> None:
    """Entries and keys alone give the same plans and the same verdicts, refusals too."""
    done = up.run("replay", "--all", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
