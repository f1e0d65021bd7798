"""The vault: a key for every person, wrapped with a key-encryption key from a file.

A person's key is created in the transaction that accepts their `plan.started`. It encrypts all
words about them and salts their digests; erasure will be deleting this key. Entries without words
are encrypted with the person's **envelope key**, HKDF(ledger key, "firsthand/envelope/1" || 0x00
|| subject), which needs no row.

Keys are wrapped with AES Key Wrap (RFC 3394) under `kek` (32 bytes, base64url, in the key folder).
The ledger key is such a row too, with the subject "ledger", and so is the hold key, with the
subject "hold". It encrypts held messages (services/ledger/writer/held_messages.py). A key that
cannot be unwrapped is an incident and raises KeyUnwrapError: a person's key blocks that person's
events, the ledger key all events.
"""

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from shared.crypto.jwe import Key, b64url, derive_key, from_b64url
from shared.errors import DecryptionError, FirsthandError, SettingsError
from shared.files import write_if_absent

LIMIT = 50_000  # cached keys of each sort
ENVELOPE = b"firsthand/envelope/1\x00"
# The subjects of the two rows that belong to no person; ids of people have another form.
LEDGER, HOLD = "ledger", "hold"


class KeyUnwrapError(FirsthandError):
    """A key exists but cannot be used: wrong key-encryption key, or a modified row."""


class Vault:
    """Wrap, unwrap and cache keys. It runs no SQL: rows are passed in and returned."""

    def __init__(self, kek: bytes) -> None:
        self._kek = kek
        self._people: dict[str, Key] = {}
        self._envelopes: dict[str, Key] = {}
        self._ledger: Key | None = None
        self._hold: Key | None = None

    @classmethod
    def from_folder(cls, folder: Path) -> "Vault":
        """Read the key-encryption key; raise SettingsError if it is missing or invalid."""
        path = folder / "kek"
        try:
            return cls(Key(from_b64url(path.read_bytes().strip())).raw)
        except (OSError, ValueError, DecryptionError) as fault:
            raise SettingsError(f"{path}: {fault}. Run 'firsthand init' to create one.") from None

    @staticmethod
    def make(folder: Path) -> None:
        """Write a new key-encryption key."""
        write_if_absent(folder / "kek", b64url(Key.fresh().raw))

    def fresh(self, subject: str) -> tuple[Key, dict[str, str | bytes]]:
        """Return a new key for `subject` and its row. The caller caches it after the commit."""
        key = Key.fresh()
        wrapped = aes_key_wrap(self._kek, key.raw)
        return key, {"kid": key.kid, "subject": subject, "wrapped": wrapped}

    def unwrap(self, kid: str, wrapped: bytes) -> Key:
        """Unwrap the key of a row; raise KeyUnwrapError if the row or the kek is wrong."""
        try:
            key = Key(aes_key_unwrap(self._kek, wrapped))
        except (InvalidUnwrap, DecryptionError):
            raise KeyUnwrapError(f"key {kid} cannot be unwrapped with this kek") from None
        if key.kid != kid:
            raise KeyUnwrapError(f"key {kid} does not match the kid of its row")
        return key

    @property
    def is_open(self) -> bool:
        """True once the ledger key is cached."""
        return self._ledger is not None

    def remember(self, subject: str, key: Key) -> None:
        """Cache an unwrapped key."""
        if subject == LEDGER:
            self._ledger = key
        elif subject == HOLD:
            self._hold = key
        else:
            if len(self._people) >= LIMIT:
                self._people.pop(next(iter(self._people)))
            self._people[subject] = key

    def forget(self, subject: str) -> None:
        """Evict a person's keys from the cache."""
        self._people.pop(subject, None)
        self._envelopes.pop(subject, None)

    @property
    def hold(self) -> Key:
        """The key that encrypts held messages; raises KeyUnwrapError if its row is missing."""
        if self._hold is None:
            raise KeyUnwrapError("the hold key is missing; run 'firsthand init'")
        return self._hold

    def person(self, subject: str) -> Key | None:
        """Return the person's key if it is cached, or None."""
        return self._people.get(subject)

    def envelope(self, subject: str) -> Key:
        """Return the key of a person's entries without words."""
        if self._ledger is None:
            raise KeyUnwrapError("the ledger key is missing; run 'firsthand init'")
        if subject not in self._envelopes:
            if len(self._envelopes) >= LIMIT:
                self._envelopes.pop(next(iter(self._envelopes)), None)
            self._envelopes[subject] = Key(
                derive_key(self._ledger.raw, ENVELOPE + subject.encode())
            )
        return self._envelopes[subject]

    def find(self, subject: str) -> Callable[[str], Key | None]:
        """Return a look-up by kid among the two keys that may encrypt entries of `subject`."""

        def by_kid(kid: str) -> Key | None:
            person = self._people.get(subject)
            if person is not None and person.kid == kid:
                return person
            envelope = self.envelope(subject)
            return envelope if envelope.kid == kid else None

        return by_kid
