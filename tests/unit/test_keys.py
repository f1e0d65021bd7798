"""The keys of an issuer: renewed without a restart, kept through an outage, seldom asked for."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest
from joserfc.jwk import KeySet, OctKey, RSAKey

from shared.auth.issuers import (
    AGAIN_SECONDS,
    KEEP_SECONDS,
    ROLES,
    URL_SECONDS,
    Issuer,
    JwksCache,
    key_set,
)
from shared.auth.tokens import Callers
from shared.errors import Unauthorized, Unavailable
from tests.given import ADA
from tests.tokens import CLAIMS, ISS, NEW, NOW, OURS, Clock, jwks, kids, token


@dataclass
class Address:
    """An issuer's address: what it answers, and how often it was asked. After the first look, a
    `slow` one renews keys only where a test runs what has `begun`.
    """

    told: bytes = field(default_factory=lambda: jwks(OURS))
    away: bool = False
    slow: bool = False
    asked: int = 0
    clock: Clock = field(default_factory=Clock)
    begun: "SimpleQueue[Callable[[], None]]" = field(default_factory=SimpleQueue)

    def read(self) -> bytes:
        """What `fetch` does."""
        self.asked += 1
        if self.away:
            raise OSError("no route to host")
        return self.told

    def _start(self, renew: Callable[[], None]) -> None:
        if self.slow and self.asked:
            self.begun.put(renew)
        else:
            renew()

    def keys(self) -> JwksCache:
        """The keys at this address."""
        return JwksCache(
            "far",
            self.read,
            every=URL_SECONDS,
            again=AGAIN_SECONDS,
            start=self._start,
            clock=self.clock,
        )


@pytest.fixture
def far() -> Address:
    """An issuer far away."""
    return Address()


def trusting(keys: JwksCache, clock: Clock) -> Callers:
    """Who trusts these keys for everybody."""
    issuer = Issuer("far", keys, frozenset(ROLES), re.compile(".*"))
    return Callers({ISS: issuer}, "firsthand", clock)


# Held and renewed.


def test_keys_are_asked_for_once_and_held(far: Address) -> None:
    keys = far.keys()
    assert far.asked == 0, "not before a token needs them"
    held = keys.current()
    far.clock.now += URL_SECONDS - 1
    assert keys.current() is held
    assert far.asked == 1


def test_keys_are_renewed_and_stay_the_same_object_if_nothing_changed(far: Address) -> None:
    keys = far.keys()
    held = keys.current()
    far.clock.now += URL_SECONDS
    assert keys.current() is held
    assert far.asked == 2


def test_a_renewal_runs_beside_the_requests(far: Address) -> None:
    far.slow = True
    keys = far.keys()
    held = keys.current()
    far.clock.now += URL_SECONDS
    far.told = jwks(NEW)
    assert keys.current() is held
    assert keys.current() is held
    far.begun.get_nowait()()
    assert kids(keys) == ["new"]
    assert far.begun.empty()


def test_a_new_key_is_asked_for_when_a_token_names_it(far: Address) -> None:
    keys = far.keys()
    ours = trusting(keys, far.clock)
    ours.of(f"Bearer {token(CLAIMS)}")
    far.told = jwks(OURS, NEW)
    far.clock.now += AGAIN_SECONDS
    assert ours.of(f"Bearer {token(CLAIMS, NEW, kid='new')}").subject == ADA
    assert far.asked == 2


def test_a_flood_of_unknown_keys_is_no_flood_of_requests(far: Address) -> None:
    ours = trusting(far.keys(), far.clock)
    for number in range(500):
        with pytest.raises(Unauthorized):
            ours.of(f"Bearer {token(CLAIMS, kid=f'k{number}')}")
    assert far.asked == 1
    far.clock.now += AGAIN_SECONDS
    for number in range(500):
        with pytest.raises(Unauthorized):
            ours.of(f"Bearer {token(CLAIMS, kid=f'k{number}')}")
    assert far.asked == 2


def test_a_withdrawn_key_takes_the_tokens_that_it_signed_with_it(far: Address) -> None:
    ours, bearer = trusting(far.keys(), far.clock), f"Bearer {token(CLAIMS)}"
    assert ours.of(bearer).subject == ADA
    far.told = jwks(NEW)
    far.clock.now += URL_SECONDS
    with pytest.raises(Unauthorized):
        ours.of(bearer)


def test_only_one_request_waits_for_a_renewal(far: Address) -> None:
    """The others are told at once that the key may be a new one: that is no 401."""
    far.slow = True
    keys = far.keys()
    keys.current()
    far.told = jwks(OURS, NEW)
    far.clock.now += AGAIN_SECONDS
    found: list[KeySet] = []
    waiting = threading.Thread(target=lambda: found.append(keys.with_key("new")))
    waiting.start()
    renew = far.begun.get(timeout=10)
    with pytest.raises(Unavailable, match="just being read"):
        keys.with_key("new")
    assert kids(keys) == ["ours"], "the keys of before are in use meanwhile"
    renew()
    waiting.join()
    assert [key.kid for each in found for key in each.keys] == ["ours", "new"]


# The issuer is away.


def test_keys_outlive_their_issuer_for_a_day(far: Address) -> None:
    keys = far.keys()
    ours = trusting(keys, clock := Clock())
    bearer = f"Bearer {token(CLAIMS)}"
    ours.of(bearer)
    far.away = True
    for _ in range(int(KEEP_SECONDS / AGAIN_SECONDS) - 1):
        far.clock.now += AGAIN_SECONDS
        assert kids(keys) == ["ours"]
    assert clock.now == NOW
    far.clock.now += AGAIN_SECONDS
    with pytest.raises(Unavailable, match="'far' are not at hand: OSError: no route to host"):
        ours.of(bearer)
    far.away = False
    far.clock.now += AGAIN_SECONDS
    assert ours.of(bearer).subject == ADA


def test_a_silent_issuer_is_asked_every_half_minute_until_it_answers(far: Address) -> None:
    keys = far.keys()
    keys.current()
    far.away = True
    far.clock.now += URL_SECONDS
    for _ in range(100):
        keys.current()
    assert far.asked == 2
    far.away, far.told = False, jwks(NEW)
    far.clock.now += AGAIN_SECONDS
    assert kids(keys) == ["new"]


def test_an_unknown_key_is_no_401_while_its_issuer_is_silent(far: Address) -> None:
    keys = far.keys()
    ours = trusting(keys, far.clock)
    ours.of(f"Bearer {token(CLAIMS)}")
    far.away = True
    far.clock.now += AGAIN_SECONDS
    for _ in range(20):
        with pytest.raises(Unavailable, match="no route"):
            ours.of(f"Bearer {token(CLAIMS, NEW, kid='new')}")
    assert far.asked == 2
    assert ours.of(f"Bearer {token(CLAIMS)}").subject == ADA


@pytest.mark.parametrize(
    "told", [b"", b"{", b"[]", b"7", b'{"keys":[]}', b'{"keys":[7]}', b'{"keys":7}', b"\xff"]
)
def test_a_set_that_cannot_be_read_changes_nothing(far: Address, told: bytes) -> None:
    keys = far.keys()
    keys.current()
    far.told = told
    far.clock.now += URL_SECONDS
    assert kids(keys) == ["ours"]


def test_keys_that_we_do_not_take_are_passed_over() -> None:
    rsa = RSAKey.generate_key(2048, parameters={"alg": "RS256", "kid": "rsa"})
    secret = OctKey.generate_key(256, parameters={"alg": "ES256", "kid": "secret"})
    loose = {n: v for n, v in NEW.as_dict(private=False).items() if n != "alg"}
    public = [OURS.as_dict(private=False), rsa.as_dict(private=False), secret.as_dict(), loose]
    told = json.dumps({"keys": public}).encode()
    assert [key.kid for key in key_set(told).keys] == ["ours"]
