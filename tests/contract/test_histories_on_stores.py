"""Made-up histories through the real projector: each store rules and folds as the core does."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from random import Random

import pytest

from services.ledger.fold import load_state, unwrap_keys
from services.ledger.log import entry
from services.ledger.plan.decide import Accepted, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump
from services.ledger.vault import Vault
from shared.events.catalogue import CATALOGUE
from shared.events.catalogue.examples import examples
from shared.events.event import Event, Json, canonical
from shared.events.refusals import Code
from tests import matrix
from tests.contract.ledgers import Ledger
from tests.given import ADA
from tests.histories import history
from tests.voices import ada, sam, sam_may_observe, started

PEOPLE, LENGTH = 20, 60
NOT_ASKED_FOR = {Code.PLAN_ERASED, Code.OUR_FAULT}

Ruled = tuple[str, str, bool, list[str]]


def person_of(number: int) -> str:
    return f"person:p{number:03}"


def life(number: int) -> list[Event]:
    """One person's made-up history: Ada's, with another id in every place."""
    seeds = range(number * 1_000, number * 1_000 + LENGTH)
    return [_renamed(said, person_of(number)) for said, _ in history(seeds)]


def _renamed(said: Event, person: str) -> Event:
    return Event.from_canonical(
        said.canonical.replace(f'"{ADA}"'.encode(), f'"{person}"'.encode()),
        author=person if said.author == ADA else said.author,
        via=said.via,
        issuer=said.issuer,
        received=said.received,
    )


def shown(example: Json) -> list[Event]:
    """What a served example posts."""
    return [
        Event.from_canonical(
            canonical(step["event"]),
            author=step["author"],
            via=step.get("via", "service:notebook"),
            issuer="local",
            received="2026-03-02T12:00:00.000Z",
        )
        for step in (*example["given"], example)
    ]


def filled() -> list[Event]:
    """A plan that others have filled, and what comes then."""
    person = "person:filled"
    seen = [sam.observes("x" * 20_000, where=f"{number}") for number in range(110)]
    events = [started, sam_may_observe, *seen, ada.observes("Slept.")]
    return [_renamed(said, person) for said in events]


def told() -> list[Event]:
    """All histories and every type's examples, side by side, and some of it twice."""
    lives = [filled(), *(life(number) for number in range(PEOPLE))]
    lives += [shown(each) for row in CATALOGUE.values() for each in examples(row)]
    mixed = [each for row in zip_longest(*lives) for each in row if each is not None]
    return mixed + Random(3).sample(mixed, 100)


@dataclass
class Fold:
    """What is to be expected: the rules alone, over everything in order."""

    plans: dict[str, Plan] = field(default_factory=dict)
    ruled: list[Ruled] = field(default_factory=list)
    types: set[str] = field(default_factory=set)
    seen: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)

    def take(self, events: Iterable[Event]) -> "Fold":
        """Rule on all of them; a repeat is no new entry."""
        for said in events:
            before = self.seen.setdefault((said.author, said.id), [])
            if said.canonical not in before:
                self._rule(said, reused=bool(before))
                before.append(said.canonical)
        return self

    def _rule(self, said: Event, *, reused: bool) -> None:
        plan = self.plans.setdefault(said.subject, Plan(said.subject))
        verdict = decide(plan, said, reused=reused)
        if isinstance(verdict, Accepted):
            evolve(plan, said)
            self.types.add(said.type)
            ruling = (entry.ACCEPTED, verdict.represented, list(verdict.warnings))
        else:
            ruling = (str(verdict.code), verdict.represented, [])
        self.ruled.append((said.id, *ruling))


def ruled(ledger: Ledger) -> list[Ruled]:
    """What stands on the entries."""
    entries = [entry.parse(row["leaf"]) for row in ledger.rows()]
    return [
        (each.id, each.refusal or each.verdict, each.onbehalfof is not None, each.warnings or [])
        for each in entries
    ]


def plans(ledger: Ledger, people: Iterable[str]) -> dict[str, bytes]:
    """Their plans as the store has them: stored plan, and the entries past it."""
    vault = Vault.from_folder(ledger.settings.key_folder)
    with ledger.as_services(write=False) as connection:
        unwrap_keys(connection, vault, people)
        return {each: dump(load_state(connection, vault, 0, each).plan) for each in people}


def test_a_store_rules_and_folds_as_the_core_does(
    on_valkey: Ledger, request: pytest.FixtureRequest
) -> None:
    events, dice, projector = told(), Random(5), on_valkey.projector()
    inbox, start = on_valkey.inbox(), 0
    while start < len(events):  # in batches of any size
        size = dice.choice([1, 7, 40, 150])
        inbox.publish(0, events[start : start + size])
        on_valkey.drain(projector)
        start += size
    expected = Fold().take(events)
    assert ruled(on_valkey) == expected.ruled
    assert plans(on_valkey, expected.plans) == {
        each: dump(plan) for each, plan in expected.plans.items()
    }
    report = on_valkey.replay()
    assert (report.findings, report.entries) == ([], len(expected.ruled))
    codes = {code for _, code, _, _ in expected.ruled}
    assert expected.types == set(CATALOGUE)
    assert codes == {entry.ACCEPTED, *set(Code) - NOT_ASKED_FOR}
    matrix.tell(
        request,
        f"histories on {on_valkey.kind}: {len(expected.plans)} people, "
        f"{len(expected.ruled)} entries, {len(expected.types)} types, {len(codes) - 1} refusals",
    )
