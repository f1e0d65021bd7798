"""Transit encryption: messages and receipts are encrypted while they are in the queue.

A message is a JWE (shared/crypto/jwe.py). Its header binds the partition, the catalogue version and
the use, so that a message cannot be moved to another partition and a receipt cannot pass for an
event. The header of a receipt also binds the waiter, so that no other request can receive it. The
keys are in `transit.jwks` (shared/crypto/transit_keys.py), newest first. The first key encrypts;
every key decrypts.

The file is read again once a second, and at once if a message names an unknown key. If the key is
still missing, KeyUnavailable is raised and the partition **waits**: the key may not have been
distributed yet, and later messages must not be processed first. DecryptionError is permanent: the
message is not such a JWE, fails to decrypt under a known key, or names a key that is marked `lost`.
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

EVERY = 1.0  # seconds between two reads of the file
KID = re.compile(r"[A-Za-z0-9_-]{43}")

log_line = structlog.get_logger()


class Transit:
    """The transit keys: encrypt and decrypt messages and receipts."""

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
        self._use(TransitKeys(tuple(keys)))

    @classmethod
    def from_folder(cls, folder: Path) -> "Transit":
        """Load `transit.jwks` and reload it on changes; SettingsError if it has no key."""
        loaded = TransitKeys.read(folder)
        transit = cls(loaded.keys, folder)
        transit._use(loaded)
        return transit

    @staticmethod
    def make(folder: Path) -> None:
        """Create the file with a first key, unless it exists."""
        TransitKeys.make(folder)

    def encrypt(self, partition: int, plaintext: bytes, use: str, waiter: str = "") -> bytes:
        """Encrypt for a partition, a use ("event" or "receipt") and, for a receipt, a waiter."""
        self._reload_when_due()
        newest = self._loaded.keys[0]
        return encrypt_with_header(self._header(newest, partition, use, waiter), newest, plaintext)

    def _header(self, key: Key, partition: int, use: str, waiter: str) -> bytes:
        bound: dict[str, object] = {"partition": partition, "catalogue": VERSION, "use": use}
        if waiter:
            return header_for(key, {**bound, "waiter": waiter})
        cache_key = key.kid, partition, use
        if cache_key not in self._headers:
            self._headers[cache_key] = header_for(key, bound)
        return self._headers[cache_key]

    def alias(self, name: str) -> str:
        """Return a keyed hash of a name (a pseudonym), for use in the queue.

        It uses the oldest key: during a key rotation, every process has that key.
        """
        self._reload_when_due()
        return self._alias(self._alias_keys[-1], name)

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the alias under every key: another process may have used any of them."""
        self._reload_when_due()
        return tuple(self._alias(key, name) for key in self._alias_keys)

    def decrypt(self, partition: int, encrypted: bytes, use: str, waiter: str = "") -> bytes:
        """Decrypt a message for this partition, use and waiter.

        Raises DecryptionError if it is not valid here, CatalogueTooNew if a process with a newer
        catalogue encrypted it (this process waits for its upgrade), and KeyUnavailable if its key
        is missing.
        """
        try:
            header, plaintext = decrypt(encrypted, self._find)
        except DecryptionError:
            if not (kid := self._unknown_kid(partition, encrypted, use)):
                raise
            self._reload_for(kid)
            header, plaintext = decrypt(encrypted, self._find)
        catalogue = header.get("catalogue")
        if isinstance(catalogue, int) and catalogue > VERSION:
            raise CatalogueTooNew(f"encrypted by catalogue {catalogue}; this process has {VERSION}")
        bound = header.get("partition"), header.get("use"), header.get("waiter", "")
        if bound != (partition, use, waiter):
            raise DecryptionError("encrypted for another partition, use or waiter")
        return plaintext

    def _unknown_kid(self, partition: int, encrypted: bytes, use: str) -> str:
        """Return the kid of a message that is ours except that its key is unknown; else empty."""
        header = read_header(encrypted)
        kid = header.get("kid")
        bound = header.get("partition"), header.get("use")
        if bound != (partition, use) or not isinstance(kid, str) or not KID.fullmatch(kid):
            return ""
        return "" if self._find(kid) else kid

    def _reload_for(self, kid: str) -> None:
        """Reload the file for a key; KeyUnavailable if missing, DecryptionError if marked lost."""
        self._reload()
        if kid in self._loaded.lost:
            raise DecryptionError(f"encrypted under the transit key {kid}, which is marked lost")
        if self._find(kid) is None:
            raise KeyUnavailable(f"encrypted under the transit key {kid}, missing in {FILE}")

    def _reload_when_due(self) -> None:
        if self._clock() < self._due:
            return
        try:
            self._reload()
        except SettingsError as fault:
            log_line.warning("transit-keys-not-renewed", why=str(fault))

    def _reload(self) -> None:
        self._due = self._clock() + EVERY
        if self._folder is not None:
            self._use(TransitKeys.read(self._folder))

    def _use(self, keys: TransitKeys) -> None:
        self._loaded, self._find = keys, {key.kid: key for key in keys.keys}.get
        digests = (hmac.digest(key.raw, b"firsthand/alias/1", "sha256") for key in keys.keys)
        self._alias_keys = tuple(digests)


def _alias(key: bytes, name: str) -> str:
    return b64url(hmac.digest(key, name.encode(), "sha256")[:16]).decode()
