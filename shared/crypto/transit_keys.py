"""The file of the transit keys, `transit.jwks` in the key folder.

    {"keys": [{"kty": "oct", "kid": "...", "k": "..."}, ...], "lost": ["..."]}

A JWK Set (RFC 7517, symmetric keys), newest first, two at most: while a new key is handed on, and
what was sealed under the old one still waits, both open. `lost` names keys that nobody has any
more; what was sealed under them is not waited for.
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
MOST = 2  # keys


@dataclass(frozen=True, slots=True)
class TransitKeys:
    """What the file says."""

    keys: tuple[Key, ...]
    lost: frozenset[str] = frozenset()

    @classmethod
    def read(cls, folder: Path) -> "TransitKeys":
        """SettingsError if the file is not there or holds no key."""
        path = folder / FILE
        try:
            told = json.loads(path.read_text())
            keys = tuple(Key(from_b64url(each["k"].encode())) for each in told["keys"])
            return cls((keys[0], *keys[1:]), frozenset(map(str, told.get("lost", ()))))
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
        """Write a first key, if there is none."""
        write_if_absent(folder / FILE, _text([Key.fresh()]))

    def find(self, kid: str) -> Key | None:
        """The key of this name."""
        return next((key for key in self.keys if key.kid == kid), None)

    def with_new_key(self, folder: Path) -> "TransitKeys":
        """Put a new key first; SettingsError if there are two already."""
        if len(self.keys) >= MOST:
            raise SettingsError(
                f"{folder / FILE}: two keys are there already; drop the old one with --complete"
            )
        return self._put(folder, TransitKeys((Key.fresh(), *self.keys), self.lost))

    def newest_only(self, folder: Path) -> "TransitKeys":
        """Drop the old key; SettingsError if there is none."""
        if len(self.keys) < MOST:
            raise SettingsError(f"{folder / FILE}: one key is there; add the new one first")
        return self._put(folder, TransitKeys(self.keys[:1], self.lost), of_old=True)

    def with_lost_key(self, folder: Path, kid: str) -> "TransitKeys":
        """Give a key up as lost; SettingsError if it is there."""
        if self.find(kid):
            raise SettingsError(f"{folder / FILE}: the key {kid} is there, and not lost")
        return self._put(folder, TransitKeys(self.keys, self.lost | {kid}), of_old=True)

    def _put(self, folder: Path, new: "TransitKeys", *, of_old: bool = False) -> "TransitKeys":
        """Write the file. Its date is that of the newest key, by which the doctor tells its age."""
        made = (folder / FILE).stat()
        write_atomically(folder / FILE, _text(new.keys, sorted(new.lost)), 0o600)
        if of_old:
            os.utime(folder / FILE, ns=(made.st_atime_ns, made.st_mtime_ns))
        return new


def _text(keys: Sequence[Key], lost: Sequence[str] = ()) -> bytes:
    jwks = [{"kty": "oct", "kid": key.kid, "k": b64url(key.raw).decode()} for key in keys]
    return json.dumps({"keys": jwks} | ({"lost": list(lost)} if lost else {})).encode()
