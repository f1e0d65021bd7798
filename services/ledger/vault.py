"""The vault: a key for every person, wrapped under a key-encryption key from a file.

A person's key is made in the transaction that accepts their `plan.started`. It seals every word
about them and salts every digest; deleting it is what erasure will be. What has no words is
sealed under the person's **envelope key**, HKDF(ledger key, "firsthand/envelope/1" || 0x00 ||
subject), which needs no row.

Rows are wrapped with AES Key Wrap (RFC 3394) under `kek` (32 bytes, base64url, in the key folder).
The ledger key is itself such a row, of the subject "ledger"; so is the hold key, of the subject
"hold", which encrypts messages that cannot be judged yet (services/ledger/writer/held_messages.py).
A key that cannot be unwrapped is an incident, VaultClosed: if it is a person's, that person's
events wait, and if it is the ledger's, everybody's.
"""

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from shared.crypto.jwe import Key, b64url, derive_key, from_b64url
from shared.errors import DecryptionError, FirsthandError, SettingsError
from shared.files import write_if_absent

LIMIT = 50_000  # keys of each sort kept at hand
ENVELOPE = b"firsthand/envelope/1\x00"
# The subjects of the two rows that belong to nobody; no person's id looks like them.
LEDGER, HOLD = "ledger", "hold"


class KeyUnwrapError(FirsthandError):
    """A key is there and cannot be used: wrong key-encryption key, or a changed row."""


class Vault:
    """Wraps, unwraps and remembers keys. It does no SQL: rows come in and go out."""

    def __init__(self, kek: bytes) -> None:
        self._kek = kek
        self._people: dict[str, Key] = {}
        self._envelopes: dict[str, Key] = {}
        self._ledger: Key | None = None
        self._hold: Key | None = None

    @classmethod
    def from_folder(cls, folder: Path) -> "Vault":
        """Read the key-encryption key; SettingsError if it is not there."""
        path = folder / "kek"
        try:
            return cls(Key(from_b64url(path.read_bytes().strip())).raw)
        except (OSError, ValueError, DecryptionError) as fault:
            raise SettingsError(f"{path}: {fault}. Run 'firsthand init' to make one.") from None

    @staticmethod
    def make(folder: Path) -> None:
        """Write a new key-encryption key."""
        write_if_absent(folder / "kek", b64url(Key.fresh().raw))

    def fresh(self, subject: str) -> tuple[Key, dict[str, str | bytes]]:
        """A new key for `subject` and the row that keeps it. Not remembered before commit."""
        key = Key.fresh()
        wrapped = aes_key_wrap(self._kek, key.raw)
        return key, {"kid": key.kid, "subject": subject, "wrapped": wrapped}

    def unwrap(self, kid: str, wrapped: bytes) -> Key:
        """The key of a row; VaultClosed if the row or the key-encryption key is wrong."""
        try:
            key = Key(aes_key_unwrap(self._kek, wrapped))
        except (InvalidUnwrap, DecryptionError):
            raise KeyUnwrapError(f"key {kid} cannot be unwrapped with this kek") from None
        if key.kid != kid:
            raise KeyUnwrapError(f"key {kid} is not the one its row names")
        return key

    @property
    def is_open(self) -> bool:
        """True once the ledger key is at hand."""
        return self._ledger is not None

    def remember(self, subject: str, key: Key) -> None:
        """Keep an unwrapped key at hand."""
        if subject == LEDGER:
            self._ledger = key
        elif subject == HOLD:
            self._hold = key
        else:
            if len(self._people) >= LIMIT:
                self._people.pop(next(iter(self._people)))
            self._people[subject] = key

    def forget(self, subject: str) -> None:
        """Drop what was remembered of a person."""
        self._people.pop(subject, None)
        self._envelopes.pop(subject, None)

    @property
    def hold(self) -> Key:
        """The key that encrypts held messages; VaultClosed if its row is missing."""
        if self._hold is None:
            raise KeyUnwrapError("the hold key is not there; run 'firsthand init'")
        return self._hold

    def person(self, subject: str) -> Key | None:
        """The person's key, if it was remembered."""
        return self._people.get(subject)

    def envelope(self, subject: str) -> Key:
        """The key of what has no words about `subject`."""
        if self._ledger is None:
            raise KeyUnwrapError("the ledger key is not there; run 'firsthand init'")
        if subject not in self._envelopes:
            if len(self._envelopes) >= LIMIT:
                self._envelopes.pop(next(iter(self._envelopes)), None)
            self._envelopes[subject] = Key(
                derive_key(self._ledger.raw, ENVELOPE + subject.encode())
            )
        return self._envelopes[subject]

    def find(self, subject: str) -> Callable[[str], Key | None]:
        """From kid to key, among the two that may seal things about `subject`."""

        def by_kid(kid: str) -> Key | None:
            person = self._people.get(subject)
            if person is not None and person.kid == kid:
                return person
            envelope = self.envelope(subject)
            return envelope if envelope.kid == kid else None

        return by_kid
