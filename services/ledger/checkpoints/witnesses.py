r"""Witnesses (C2SP tlog-witness): third parties that cosign the consistency of a log.

`witnesses.json` in the key folder lists them; without the file there are none:

    {"quorum": 1, "witnesses": [{"url": "https://witness.example", "vkey": "..."}]}

`quorum` (default 0) is the number of cosignatures that a checkpoint needs before it is served. A
cosignature is requested with a POST to <url>/add-checkpoint:

    old <size it cosigned last>\n
    <base64(hash)>\n                      (a consistency proof from there)
    \n
    <checkpoint>

200 returns cosignatures; 409 the size that the witness cosigned last. Any other response is an
error. A whole response has 3 seconds and 64 KiB; redirects are not followed.
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
    """A witness: its URL and its key."""

    url: str
    key: Verifier


@dataclass(frozen=True, slots=True)
class Policy:
    """The witnesses, and how many must have cosigned a checkpoint before it is served."""

    quorum: int = 0
    witnesses: tuple[Witness, ...] = ()

    @classmethod
    def from_folder(cls, folder: Path) -> "Policy":
        """Read `witnesses.json` if it exists; raise SettingsError if it is invalid."""
        path = folder / "witnesses.json"
        try:
            members = json.loads(path.read_text())
            listed = tuple(
                Witness(_http(row["url"]), Verifier.parse(row["vkey"]))
                for row in members["witnesses"]
            )
            policy = cls(members.get("quorum", 0), listed)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
            raise SettingsError(f"{path}: {type(fault).__name__}: {fault}") from None
        distinct = {witness.key.public for witness in listed}
        if type(policy.quorum) is not int or not 0 <= policy.quorum <= len(listed):
            raise SettingsError(f"{path}: 'quorum' is a number from 0 to that of the witnesses")
        if len(distinct) < len(listed) or any(row.key.kind != COSIGNATURE for row in listed):
            raise SettingsError(f"{path}: each witness has a cosignature key (0x04) of its own")
        return policy

    def cosigned(self, note: str) -> int:
        """Count the witnesses that cosigned a checkpoint; raise ValueError if one is forged."""
        keys = {(witness.key.name, witness.key.key_id) for witness in self.witnesses}
        signed_by = {(signature.name, signature.key_id) for signature in split_note(note)[1]}
        if not keys & signed_by:
            return 0
        return len(open_note(note, [witness.key for witness in self.witnesses])[1])


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
    """Request a cosignature of a checkpoint; raise WitnessRefused, with the reason, if refused.

    `old` is the size that the witness is expected to have cosigned last. If it names another, the
    request is repeated once from that size. `proof(old, size)` returns a consistency proof.
    """
    size = Checkpoint.parse(split_note(note)[0]).size
    if old > size:
        raise WitnessRefused(f"it has cosigned size {old}, and this log was published up to {size}")
    status, answer = _post(witness, note, old, proof(old, size))
    if status == 409 and again and (cosigned := _cosigned_size(answer)) != old:
        return request_cosignature(witness, note, cosigned, proof, again=False)
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
    hashes = "".join(f"{b64encode(node).decode()}\n" for node in proof)
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


def _cosigned_size(answer: str) -> int:
    """Parse the body of a 409."""
    number = answer.removesuffix("\n")
    if not number.isascii() or not number.isdigit() or len(number) > 19:
        raise WitnessRefused("its answer 409 holds no size")
    return int(number)


def _lines(answer: str) -> list[Signature]:
    return [Signature.parse(line) for line in answer.removesuffix("\n").split("\n")]
