"""What whoever audits gives: the log's keys, and the witnesses that must have cosigned."""

from collections.abc import Iterable
from pathlib import Path

from services.ledger.log.note import COSIGNATURE, ED25519, Verifier
from services.ledger.witnesses import Policy, Witness
from shared.problems import SettingsError

SAYS = (
    "a key is <name>+<8 hexadecimal digits>+<base64>, as log.vkey of an export has it, a line each"
)


def given_keys(option: str, given: Iterable[str], kind: int = ED25519) -> list[str]:
    """The vkeys in texts with white space between, or in files that hold them; SettingsError."""
    return [key for each in given for key in _keys(option, each, kind)]


def _keys(option: str, given: str, kind: int) -> list[str]:
    found = _text(option, given).split()
    try:
        odd = [each for each in found if Verifier.parse(each).kind != kind]
    except ValueError as fault:
        raise SettingsError(f"{option} {given}: {fault}: {SAYS}") from None
    if odd or not found:
        wanted = "the log" if kind == ED25519 else "a witness (type 0x04)"
        raise SettingsError(f"{option} {given}: no key of {wanted}: {SAYS}")
    return found


def _text(option: str, given: str) -> str:
    try:
        return Path(given).read_text() if Path(given).is_file() else given
    except UnicodeDecodeError:
        raise SettingsError(f"{option} {given}: the file holds no text: {SAYS}") from None
    except OSError:  # no name that a file can have, or none that we may read
        return given


def given_policy(witnesses: Iterable[str], quorum: int | None) -> Policy:
    """The witnesses given, and how many must have cosigned: all of them, unless told."""
    keys = {Verifier.parse(each) for each in given_keys("--witness", witnesses, COSIGNATURE)}
    wanted = len(keys) if quorum is None else quorum
    if quorum is not None and not 1 <= quorum <= len(keys):
        raise SettingsError("--quorum is a number from 1 to that of the witnesses given")
    return Policy(wanted, tuple(Witness("", each) for each in keys))
