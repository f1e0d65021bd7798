"""Checks of this host: key files, disk and file system."""

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from services.ledger.config import local_folder, signers
from services.ledger.vault import Vault
from services.operations.doctor.context import CheckUnavailable, CheckWarning, DoctorContext
from shared.auth.tokens import Callers
from shared.crypto.jwe import Key
from shared.crypto.transit_keys import TransitKeys
from shared.errors import FirsthandError, PreconditionFailed
from shared.inbox.lag import count_encrypted_with

SECRET = ("kek", "*.key", "*.password", "*.url", "transit.jwks", "users.acl")
OLDEST_TRANSIT = 30  # days
REMOTE = frozenset({"9p", "afs", "ceph", "cifs", "fuse.sshfs", "nfs", "nfs4", "smb3", "smbfs"})


def modes(context: DoctorContext) -> str:
    """Check that the key folder and its secrets are readable by this account only."""
    folder = context.settings.key_folder
    if not folder.is_dir():
        raise PreconditionFailed(
            f"the key folder {folder} does not exist; run 'firsthand init', or set FIRSTHAND_KEYS"
        )
    secrets = sorted(path for pattern in SECRET for path in folder.glob(pattern))
    for path in (folder, *secrets):
        _check_private(path)
    return f"{len(secrets)} secrets in {folder}, private to this account"


def _check_private(path: Path) -> None:
    state, wanted = path.stat(), "0700" if path.is_dir() else "0600"
    if state.st_uid not in (os.geteuid(), 0):
        raise PreconditionFailed(
            f"{path} belongs to another account ({state.st_uid}); run 'chown' on it"
        )
    if state.st_mode & 0o077:
        mode = f"{state.st_mode & 0o777:04o}"
        raise PreconditionFailed(
            f"{path} has mode {mode}, other accounts can use it; run 'chmod {wanted} {path}'"
        )


def ledger_file(context: DoctorContext) -> str:
    """Check that a SQLite file is private, by its own mode or by that of its folder."""
    folder = local_folder(context.settings)
    if folder is None:
        return "the ledger is not on SQLite"
    file = Path(context.settings.store_url.partition("///")[2])
    if file.exists() and folder.stat().st_mode & 0o077:
        _check_private(file)
    return f"{file}, private to this account"


def transit(context: DoctorContext) -> str:
    """Check that the transit keys are readable, and the newest file is not too old."""
    path = context.key_file("transit.jwks", "intake and worker")
    keys = TransitKeys.read(path.parent).keys
    days = int((time.time() - path.stat().st_mtime) // 86_400)
    if days > OLDEST_TRANSIT:
        raise CheckWarning(
            f"the newest transit key is {days} days old, by its file's date; the limit is "
            f"{OLDEST_TRANSIT}; run 'firsthand rotate-transit-key', as "
            "docs/how-to/rotate-the-transit-key.md says"
        )
    return f"transit.jwks is readable; {days} days old{_old(context, keys[1:])}"


def _old(context: DoctorContext, keys: Sequence[Key]) -> str:
    """Return how many messages wait under the key to be dropped, if the queue answers."""
    if not keys:
        return ""
    with suppress(FirsthandError):
        count = count_encrypted_with(context.queues, context.settings.partitions, keys[-1].kid)
        return f", {count} messages wait under the old key"
    return ", and an old key"


def issuers(context: DoctorContext) -> str:
    """Check that every accepted issuer has a readable key set."""
    path = context.key_file("issuers.json", "intake and read API")
    Callers.from_folder(path.parent, context.settings.audience)
    return "issuers.json and every key set in it can be read"


def vault(context: DoctorContext) -> str:
    """Check that the key-encryption key is readable."""
    Vault.from_folder(context.key_file("kek", "worker and read API").parent)
    return "kek can be read"


def logs(context: DoctorContext) -> str:
    """Check that every log has a key, all of one ledger."""
    context.key_file("log-0.key", "workers")
    keys = signers(context.settings)
    names = {signer.origin.rpartition("/")[0] for signer in keys}
    if len(names) > 1:
        raise PreconditionFailed(
            f"the keys name {len(names)} ledgers; restore those that 'init' wrote"
        )
    return f"{len(keys)} keys, of {names.pop()}"


def disk(context: DoctorContext) -> str:
    """Check the free space of the data folder's file system."""
    folder = _existing(context.settings.data.absolute())
    free = shutil.disk_usage(folder).free
    if free < context.least_free:
        raise PreconditionFailed(
            f"{free // 2**20} MiB are free in {folder}; free space, or events are rejected"
        )
    return f"{free / 2**30:.1f} GiB free"


def file_system(context: DoctorContext) -> str:
    """Check that SQLite is on a local disk: its locks do not work on network file systems."""
    folder = local_folder(context.settings)
    if folder is None:
        return "the ledger is not on SQLite"
    kind = _kind(folder.resolve(), context.mounts)
    if kind in REMOTE:
        raise PreconditionFailed(
            f"{folder} is on {kind}, a network file system; move it to a local disk, or use "
            "PostgreSQL"
        )
    return f"{folder} is on {kind}"


def _kind(folder: Path, mounts: Path) -> str:
    """Return the type of the file system that holds a folder, from Linux's mountinfo (proc(5))."""
    if not mounts.exists():
        raise CheckUnavailable("this system has no list of mounts", down=False)
    mount = (Path("/"), "unknown")
    for line in mounts.read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= len(mount[0].parts):
            mount = (point, after.split()[0])
    return mount[1]


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
