"""`firsthand audit`, as it is typed, and exports to audit."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.cli import main
from services.ledger.log.signed_note import COSIGNATURE, Signature, Verifier, attach, split_note
from tests import exports
from tests.contract.forging import KEPT, Exported
from tests.exports import LogSpec


def run(*words: str | Path, env: dict[str, str] | None = None) -> Result:
    """`firsthand audit`, as it is typed; it never ends with a stack trace."""
    done = CliRunner().invoke(main, ["audit", *map(str, words)], env=env or {})
    assert isinstance(done.exception, SystemExit | None), done.exc_info
    return done


def report(*words: str | Path, env: dict[str, str] | None = None, code: int = 0) -> dict[str, Any]:
    """Its JSON."""
    done = run(*words, "--json", env=env)
    assert done.exit_code == code, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["found"] > 0) == bool(told["findings"]) == (code == 1)
    return told


class Cosigner:
    """A witness that cosigns whatever it is shown."""

    def __init__(self, name: str, number: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        public = self._key.public_key().public_bytes_raw()
        self.key = Verifier(name, COSIGNATURE, public)

    def cosign(self, note: str) -> str:
        """The note with its cosignature."""
        text, moment = split_note(note)[0], 1_800_000_000
        signed = self._key.sign(f"cosignature/v1\ntime {moment}\n{text}".encode())
        mine = Signature(self.key.name, self.key.key_id, moment.to_bytes(8) + signed)
        return attach(note, [mine])


def codes(told: dict[str, Any]) -> set[str]:
    return {each["code"] for each in told["findings"]}


def written(whole: Exported, folder: Path, *, opened: bool = True) -> Path:
    """An export in a folder."""
    lines = whole.opened if opened else []
    return exports.write(folder, [LogSpec(whole.leaves, whole.signer, KEPT)], lines)
