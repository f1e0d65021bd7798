"""The table of attacks: each is a function that gets a `Run`, attacks, and adds figures."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.attack.clients import Client, Json, started
from tests.attack.figures import Sheet
from tests.chaos.system import System
from tests.process import wait_until

ALL = ("sqlite", "postgresql")


@dataclass
class Run:
    """The argument of an attack: a system, its figures, and whether the form is short."""

    system: System
    figures: Sheet
    short: bool
    scale: float = 1.0
    unusable: bool = False  # set by an attack after which the system is unusable
    _clients: list[Client] = field(default_factory=list)

    def size(self, long: int, short: int) -> int:
        """Return a count or duration: one number for the long form, one for the short form."""
        return max(1, round((short if self.short else long) * self.scale))

    def client(self, author: str, timeout: float = 10.0) -> Client:
        """Return a caller, whose connections are closed after the attack."""
        client = Client(self.system, author, timeout)
        self._clients.append(client)
        return client

    def name(self, who: str) -> str:
        """Return an id that no other attack uses."""
        return f"{who}-{self.figures.attack.lower()}"

    def with_plan(self, who: str, *events: Json, timeout: float = 10.0) -> Client:
        """Return a person whose plan is started and contains these events."""
        client = self.client(self.name(who), timeout)
        sent = [started(client.author), *events]
        assert client.post_all(sent) == len(sent), f"{client.author}'s events were not accepted"
        wait_until(lambda: client.fate(sent[-1]) is not None, "a plan to attack", 60)
        return client

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients:
            client.close()


Does = Callable[[Run], None]


@dataclass(frozen=True)
class Attack:
    """Description and function of an attack, its stores, and the stores of its short form."""

    name: str
    says: str
    does: Does
    stores: tuple[str, ...] = ALL
    short: tuple[str, ...] = ()


ATTACKS: list[Attack] = []


def in_order() -> list[Attack]:
    """Return the attacks by the number of their finding, then the outages as written."""
    return sorted(ATTACKS, key=lambda row: int(re.sub(r"\D", "", row.name) or 99))


def attack(
    name: str, says: str, *, stores: tuple[str, ...] = ALL, short: tuple[str, ...] = ()
) -> Callable[[Does], Does]:
    """Add a function to the table; `short` are the stores of the short form."""

    def add(does: Does) -> Does:
        ATTACKS.append(Attack(name, says, does, stores, short))
        return does

    return add
