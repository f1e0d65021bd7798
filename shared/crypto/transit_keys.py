"""Transit key file: `transit.jwks` in the key folder.

    {"keys": [{"kty": "oct", "kid": "...", "k": "..."}, ...], "lost": ["..."]}

A JWK Set (RFC 7517, symmetric keys), newest first, at most two. During a rotation both keys
decrypt: the new key is being distributed, and messages under the old key may still be in the queue.
`lost` names keys that no longer exist. The worker does not wait for messages under a lost key.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.crypto.jwe import Key, b64url, from_b64url
from shared.errors import DecryptionError, SettingsError
from shared.files import write_atomically, write_if_absent

FILE = "transit.jwks"
MAX_KEYS = 2


@dataclass(frozen=True, slots=True)
class TransitKeys:
    """The contents of the file."""

    keys: tuple[Key, ...]
    lost: frozenset[str] = frozenset()

    @classmethod
    def read(cls, folder: Path) -> "TransitKeys":
        """Read the file; SettingsError if it is missing, invalid, or has no key."""
        path = folder / FILE
        try:
            jwks = json.loads(path.read_text())
            keys = tuple(Key(from_b64url(jwk["k"].encode())) for jwk in jwks["keys"])
            return cls((keys[0], *keys[1:]), frozenset(map(str, jwks.get("lost", ()))))
        except (
            OSError,
            ValueError,
            KeyError,
            IndexError,
            TypeError,
            AttributeError,
            DecryptionError,
        ) as fault:
            raise SettingsError(f"{path}: {fault}. Run 'firsthand init' to make one.") from None

    @staticmethod
    def make(folder: Path) -> None:
        """Create the file with a first key, unless it exists."""
        write_if_absent(folder / FILE, _text([Key.fresh()]))

    def find(self, kid: str) -> Key | None:
        """Return the key with this kid; None if it is missing."""
        return next((key for key in self.keys if key.kid == kid), None)

    def with_new_key(self, folder: Path) -> "TransitKeys":
        """Add a new first key; SettingsError if the file already has two keys."""
        if len(self.keys) >= MAX_KEYS:
            raise SettingsError(
                f"{folder / FILE}: there are already two keys; remove the old one with --complete"
            )
        return self._write(folder, TransitKeys((Key.fresh(), *self.keys), self.lost))

    def newest_only(self, folder: Path) -> "TransitKeys":
        """Remove the old key; SettingsError if the file has only one key."""
        if len(self.keys) < MAX_KEYS:
            raise SettingsError(f"{folder / FILE}: there is only one key; add a new one first")
        return self._write(folder, TransitKeys(self.keys[:1], self.lost), keep_date=True)

    def with_lost_key(self, folder: Path, kid: str) -> "TransitKeys":
        """Mark a missing key as lost; SettingsError if the file has that key."""
        if self.find(kid):
            raise SettingsError(f"{folder / FILE}: the key {kid} exists, so it is not lost")
        return self._write(folder, TransitKeys(self.keys, self.lost | {kid}), keep_date=True)

    def _write(self, folder: Path, new: "TransitKeys", *, keep_date: bool = False) -> "TransitKeys":
        """Write the file. The doctor takes its date as the age of the newest key."""
        before = (folder / FILE).stat()
        write_atomically(folder / FILE, _text(new.keys, sorted(new.lost)), 0o600)
        if keep_date:
            os.utime(folder / FILE, ns=(before.st_atime_ns, before.st_mtime_ns))
        return new


def _text(keys: Sequence[Key], lost: Sequence[str] = ()) -> bytes:
    jwks = [{"kty": "oct", "kid": key.kid, "k": b64url(key.raw).decode()} for key in keys]
    return json.dumps({"keys": jwks} | ({"lost": list(lost)} if lost else {})).encode()
