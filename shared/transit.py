"""Transit keys: what rests in the queue is sealed between the two services.

A seal is JWE (shared/seal.py) whose header binds partition, catalogue version and use, so that a
message cannot be moved to another partition, nor a receipt pass for an event. The keys stand in
`transit.jwks` (RFC 7517, oct), newest first; the first seals, all open.
"""

import hmac
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from shared.catalogue import VERSION
from shared.keyfiles import keep
from shared.problems import SealBroken, SettingsError, TooNew
from shared.seal import Key, b64url, from_b64url, header_of, seal_under, unseal


class Transit:
    """The transit keys: seals messages and receipts between the two services."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._newest = keys[0]
        self._aliasing = hmac.digest(keys[0].raw, b"firsthand/alias/1", "sha256")
        self._find = {key.kid: key for key in keys}.get
        self._headers: dict[tuple[int, str], bytes] = {}
        self.alias = lru_cache(maxsize=10_000)(self._alias)

    @classmethod
    def from_folder(cls, folder: Path) -> "Transit":
        """Read `transit.jwks`; SettingsError if it is not there or holds no key."""
        path = folder / "transit.jwks"
        try:
            listed = json.loads(path.read_text())["keys"]
            return cls([Key(from_b64url(each["k"].encode())) for each in listed])
        except (
            OSError,
            ValueError,
            KeyError,
            IndexError,
            TypeError,
            AttributeError,
            SealBroken,
        ) as fault:
            raise SettingsError(f"{path}: {fault}. Run 'firsthand init' to make one.") from None

    @staticmethod
    def make(folder: Path) -> None:
        """Write a first transit key."""
        key = Key.fresh()
        jwk = {"kty": "oct", "kid": key.kid, "k": b64url(key.raw).decode()}
        keep(folder / "transit.jwks", json.dumps({"keys": [jwk]}).encode())

    def seal(self, partition: int, plaintext: bytes, use: str) -> bytes:
        """Seal for one partition and one use ("event" or "receipt")."""
        return seal_under(self._header(partition, use), self._newest, plaintext)

    def _header(self, partition: int, use: str) -> bytes:
        if (partition, use) not in self._headers:
            bound = {"partition": partition, "catalogue": VERSION, "use": use}
            self._headers[partition, use] = header_of(self._newest, bound)
        return self._headers[partition, use]

    def _alias(self, name: str) -> str:
        """A name's stand-in for a key in the queue: tells nothing to who has no transit key."""
        return b64url(hmac.digest(self._aliasing, name.encode(), "sha256")[:16]).decode()

    def unseal(self, partition: int, sealed: bytes, use: str) -> bytes:
        """Open what was sealed for this partition and use; SealBroken otherwise.

        TooNew if a newer catalogue sealed it: then this process waits for its upgrade.
        """
        header, plaintext = unseal(sealed, self._find)
        known = header.get("catalogue")
        if isinstance(known, int) and known > VERSION:
            raise TooNew(f"sealed by catalogue {known}; this process knows {VERSION}")
        if header.get("partition") != partition or header.get("use") != use:
            raise SealBroken("sealed for another place")
        return plaintext
