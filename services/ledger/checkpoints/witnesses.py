r"""Witnesses (C2SP tlog-witness): others who cosign that a log only ever grew.

`witnesses.json` in the key folder names them; without the file there are none:

    {"quorum": 1, "witnesses": [{"url": "https://witness.example", "vkey": "..."}]}

`quorum`, 0 unless told, is how many must have cosigned a checkpoint before it is served. To ask a
witness is a POST to <url>/add-checkpoint:

    old <size it cosigned last>\n
    <base64(hash)>\n                      (a consistency proof from there)
    \n
    <checkpoint>

200 brings cosignatures; 409 the size it cosigned last. Any other answer is no cosignature. A whole
answer has 3 seconds, however slowly it comes, and 64 KiB; it is never followed elsewhere.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from services.ledger.log.signed_note import (
    COSIGNATURE,
    Checkpoint,
    Signature,
    Verifier,
    attach,
    open_note,
    split_note,
)
from shared.bounded_http import request
from shared.errors import FirsthandError, SettingsError

DEADLINE = 3.0  # seconds for a whole answer
LONGEST_ANSWER = 65_536  # bytes


class WitnessRefused(FirsthandError):
    """A witness did not cosign; the text says why."""


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness: where it answers, and its key."""

    url: str
    key: Verifier


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is asked, and how many must have cosigned what is served."""

    quorum: int = 0
    witnesses: tuple[Witness, ...] = ()

    @classmethod
    def from_folder(cls, folder: Path) -> "Policy":
        """Read `witnesses.json`, if it is there; SettingsError says what is wrong with it."""
        path = folder / "witnesses.json"
        try:
            told = json.loads(path.read_text())
            listed = tuple(
                Witness(_http(each["url"]), Verifier.parse(each["vkey"]))
                for each in told["witnesses"]
            )
            policy = cls(told.get("quorum", 0), listed)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
            raise SettingsError(f"{path}: {type(fault).__name__}: {fault}") from None
        distinct = {each.key.public for each in listed}
        if type(policy.quorum) is not int or not 0 <= policy.quorum <= len(listed):
            raise SettingsError(f"{path}: 'quorum' is a number from 0 to that of the witnesses")
        if len(distinct) < len(listed) or any(each.key.kind != COSIGNATURE for each in listed):
            raise SettingsError(f"{path}: each witness has a cosignature key (0x04) of its own")
        return policy

    def cosigned(self, note: str) -> int:
        """How many of the witnesses have cosigned a checkpoint; ValueError if one is forged."""
        keys = {(each.key.name, each.key.key_id) for each in self.witnesses}
        there = {(each.name, each.key_id) for each in split_note(note)[1]}
        if not keys & there:
            return 0
        return len(open_note(note, [each.key for each in self.witnesses])[1])


NO_WITNESSES = Policy()


def _http(url: str) -> str:
    whole = urlsplit(url)
    if whole.scheme not in ("http", "https") or not whole.hostname or whole.port == 0:
        raise ValueError(f"{url} is not the address of a witness")
    return url.rstrip("/")


def request_cosignature(
    witness: Witness,
    note: str,
    old: int,
    proof: Callable[[int, int], list[bytes]],
    *,
    again: bool = True,
) -> Signature:
    """Have a witness cosign a checkpoint; Refused says why it did not.

    `old` is the size it is thought to have cosigned last: if it says another, it is asked `again`
    from there. `proof(old, size)` makes a consistency proof.
    """
    size = Checkpoint.parse(split_note(note)[0]).size
    if old > size:
        raise WitnessRefused(f"it has cosigned size {old}, and this log was published up to {size}")
    status, answer = _post(witness, note, old, proof(old, size))
    if status == 409 and again and (told := _told(answer)) != old:
        return request_cosignature(witness, note, told, proof, again=False)
    if status in (409, 422):
        raise WitnessRefused(
            f"what it cosigned at size {old} is not this log: one of them is a fork"
        )
    if status != 200:
        raise WitnessRefused(f"it answered {status}")
    try:
        _, (signature,) = open_note(attach(note, _lines(answer)), [witness.key])
    except ValueError as fault:
        raise WitnessRefused(f"its answer is no cosignature: {fault}") from None
    return signature


def _post(witness: Witness, note: str, old: int, proof: list[bytes]) -> tuple[int, str]:
    hashes = "".join(f"{b64encode(each).decode()}\n" for each in proof)
    try:
        status, content = request(
            f"{witness.url}/add-checkpoint",
            seconds=DEADLINE,
            limit=LONGEST_ANSWER,
            body=f"old {old}\n{hashes}\n{note}".encode(),
            headers={"Content-Type": "text/plain; charset=utf-8"},
        )
    except OSError as fault:
        raise WitnessRefused(f"it does not answer ({fault})") from None
    return status, content.decode("utf-8", "replace")


def _told(answer: str) -> int:
    """The size in a 409."""
    number = answer.removesuffix("\n")
    if not number.isascii() or not number.isdigit() or len(number) > 19:
        raise WitnessRefused("its answer 409 holds no size")
    return int(number)


def _lines(answer: str) -> list[Signature]:
    return [Signature.parse(each) for each in answer.removesuffix("\n").split("\n")]
