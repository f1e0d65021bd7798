"""The table of attacks: each is a function that is handed a `Run`, attacks, and adds figures."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.attack.clients import Client, Json, started
from tests.attack.figures import Sheet
from tests.chaos.rig import Rig
from tests.process import wait_until

ALL = ("sqlite", "postgresql")


@dataclass
class Run:
    """What an attack is handed: a rig, where its figures go, and whether time is short."""

    rig: Rig
    sheet: Sheet
    short: bool
    scale: float = 1.0
    spoilt: bool = False  # set by an attack after which nobody else should use the rig
    _clients: list[Client] = field(default_factory=list)

    def size(self, long: int, short: int) -> int:
        """How much or how long: one number for the long form, one for the short form."""
        return max(1, round((short if self.short else long) * self.scale))

    def client(self, author: str, timeout: float = 10.0) -> Client:
        """A caller, whose connections are closed when the attack is over."""
        found = Client(self.rig, author, timeout)
        self._clients.append(found)
        return found

    def name(self, who: str) -> str:
        """An id that no other attack uses."""
        return f"{who}-{self.sheet.attack.lower()}"

    def with_plan(self, who: str, *events: Json, timeout: float = 10.0) -> Client:
        """A person whose plan is started, and holds these events."""
        client = self.client(self.name(who), timeout)
        sent = [started(client.author), *events]
        assert client.post_all(sent) == len(sent), f"{client.author}'s events were not taken"
        wait_until(lambda: client.fate(sent[-1]) is not None, "a plan to attack", 60)
        return client

    def close(self) -> None:
        """Close the clients."""
        for each in self._clients:
            each.close()


Does = Callable[[Run], None]


@dataclass(frozen=True)
class Attack:
    """What is done, in words and in deed, on which stores, and on which in the short form."""

    name: str
    says: str
    does: Does
    stores: tuple[str, ...] = ALL
    short: tuple[str, ...] = ()


ATTACKS: list[Attack] = []


def in_order() -> list[Attack]:
    """The attacks by the number of their finding, then the outages as they are written."""
    return sorted(ATTACKS, key=lambda each: int(re.sub(r"\D", "", each.name) or 99))


def attack(
    name: str, says: str, *, stores: tuple[str, ...] = ALL, short: tuple[str, ...] = ()
) -> Callable[[Does], Does]:
    """Add a function to the table; `short` are the stores on which the short form does it."""

    def add(does: Does) -> Does:
        ATTACKS.append(Attack(name, says, does, stores, short))
        return does

    return add
