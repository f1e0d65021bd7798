"""Transit keys: what rests in the queue is sealed between the two services.

A seal is JWE (shared/crypto/jwe.py) whose header binds partition, catalogue version and use, so
that a message cannot be moved to another partition, nor a receipt pass for an event. A receipt's
binds the waiter too, so that nobody is handed somebody else's. The keys stand in `transit.jwks`
(shared/crypto/transit_keys.py), newest first; the first seals, all open.

The file is looked at once a second, and at once where a key is asked for that was not in it. A
message under a key that is still not there **waits** (KeyAway): the key may be on its way, and what
comes after it must not be judged before it. What fails under a known key, or is no such message at
all, is broken for good (SealBroken), and so is one under a key that was given up as `lost`.
"""

import hmac
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import structlog

from shared.crypto.jwe import Key, b64url, decrypt, encrypt_with_header, header_for, read_header
from shared.crypto.transit_keys import FILE, TransitKeys
from shared.errors import CatalogueTooNew, DecryptionError, KeyUnavailable, SettingsError
from shared.events.catalogue import VERSION

EVERY = 1.0  # seconds between two looks at the file
KID = re.compile(r"[A-Za-z0-9_-]{43}")

log_line = structlog.get_logger()


class Transit:
    """The transit keys: seals messages and receipts between the two services."""

    def __init__(
        self,
        keys: Sequence[Key],
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._due = clock() + EVERY
        self._headers: dict[tuple[str, int, str], bytes] = {}
        self._alias = lru_cache(maxsize=10_000)(_alias)
        self._hold(TransitKeys(tuple(keys)))

    @classmethod
    def from_folder(cls, folder: Path) -> "Transit":
        """Read `transit.jwks`, and follow it; SettingsError if it is not there or holds no key."""
        held = TransitKeys.read(folder)
        made = cls(held.keys, folder)
        made._hold(held)
        return made

    @staticmethod
    def make(folder: Path) -> None:
        """Write a first transit key."""
        TransitKeys.make(folder)

    def encrypt(self, partition: int, plaintext: bytes, use: str, waiter: str = "") -> bytes:
        """Seal for one partition and one use ("event" or "receipt"), a receipt for one waiter."""
        self._follow_when_due()
        newest = self._held.keys[0]
        return encrypt_with_header(self._header(newest, partition, use, waiter), newest, plaintext)

    def _header(self, key: Key, partition: int, use: str, waiter: str) -> bytes:
        bound: dict[str, object] = {"partition": partition, "catalogue": VERSION, "use": use}
        if waiter:
            return header_for(key, {**bound, "waiter": waiter})
        place = key.kid, partition, use
        if place not in self._headers:
            self._headers[place] = header_for(key, bound)
        return self._headers[place]

    def alias(self, name: str) -> str:
        """A name's stand-in for a key in the queue: without a transit key it tells nothing.

        It is made with the oldest key, which all processes have while a new one is handed out.
        """
        self._follow_when_due()
        return self._alias(self._aliasing[-1], name)

    def aliases(self, name: str) -> tuple[str, ...]:
        """The alias by each key, for what another process wrote: it may have other keys by now."""
        self._follow_when_due()
        return tuple(self._alias(key, name) for key in self._aliasing)

    def decrypt(self, partition: int, sealed: bytes, use: str, waiter: str = "") -> bytes:
        """Open what was sealed for this partition, use and waiter; SealBroken otherwise.

        TooNew if a newer catalogue sealed it: then this process waits for its upgrade. KeyAway if
        its key is not there.
        """
        try:
            header, plaintext = decrypt(sealed, self._find)
        except DecryptionError:
            if not (kid := self._strange(partition, sealed, use)):
                raise
            self._fetch(kid)
            header, plaintext = decrypt(sealed, self._find)
        known = header.get("catalogue")
        if isinstance(known, int) and known > VERSION:
            raise CatalogueTooNew(f"sealed by catalogue {known}; this process knows {VERSION}")
        place = header.get("partition"), header.get("use"), header.get("waiter", "")
        if place != (partition, use, waiter):
            raise DecryptionError("sealed for another place")
        return plaintext

    def _strange(self, partition: int, sealed: bytes, use: str) -> str:
        """The kid of a message that is as one of ours, but for its key; empty for all others."""
        header = read_header(sealed)
        kid = header.get("kid")
        place = header.get("partition"), header.get("use")
        if place != (partition, use) or not isinstance(kid, str) or not KID.fullmatch(kid):
            return ""
        return "" if self._find(kid) else kid

    def _fetch(self, kid: str) -> None:
        """Look for a key once more; KeyAway if it is not there, SealBroken if it is lost."""
        self._read()
        if kid in self._held.lost:
            raise DecryptionError(f"sealed under the transit key {kid}, which is lost")
        if self._find(kid) is None:
            raise KeyUnavailable(f"sealed under the transit key {kid}, which is not in {FILE} here")

    def _follow_when_due(self) -> None:
        if self._clock() >= self._due:
            self._follow()

    def _follow(self) -> None:
        try:
            self._read()
        except SettingsError as fault:
            log_line.warning("transit-keys-not-renewed", why=str(fault))

    def _read(self) -> None:
        self._due = self._clock() + EVERY
        if self._folder is not None:
            self._hold(TransitKeys.read(self._folder))

    def _hold(self, held: TransitKeys) -> None:
        self._held, self._find = held, {key.kid: key for key in held.keys}.get
        digests = (hmac.digest(key.raw, b"firsthand/alias/1", "sha256") for key in held.keys)
        self._aliasing = tuple(digests)


def _alias(aliasing: bytes, name: str) -> str:
    return b64url(hmac.digest(aliasing, name.encode(), "sha256")[:16]).decode()
