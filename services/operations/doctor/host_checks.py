"""Checks of what lies on this host: key files, disk, file system."""

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


def modes(ground: DoctorContext) -> str:
    """The folder and its secrets belong to us, and nobody else can read them."""
    folder = ground.settings.key_folder
    if not folder.is_dir():
        told = f"there is no key folder {folder}"
        raise PreconditionFailed(f"{told}; run 'firsthand init', or set FIRSTHAND_KEYS")
    secrets = sorted(path for pattern in SECRET for path in folder.glob(pattern))
    for path in (folder, *secrets):
        _is_ours_alone(path)
    return f"{len(secrets)} secrets in {folder}, for us alone"


def _is_ours_alone(path: Path) -> None:
    state, wanted = path.stat(), "0700" if path.is_dir() else "0600"
    if state.st_uid not in (os.geteuid(), 0):
        raise PreconditionFailed(
            f"{path} belongs to another account ({state.st_uid}); run 'chown' on it"
        )
    if state.st_mode & 0o077:
        mode = f"{state.st_mode & 0o777:04o}"
        raise PreconditionFailed(
            f"{path} has mode {mode}, others can use it; run 'chmod {wanted} {path}'"
        )


def ledger_file(ground: DoctorContext) -> str:
    """A ledger on SQLite is for us alone: by its own mode, or by that of its folder."""
    folder = local_folder(ground.settings)
    if folder is None:
        return "the ledger is not on SQLite"
    place = Path(ground.settings.store_url.partition("///")[2])
    if place.exists() and folder.stat().st_mode & 0o077:
        _is_ours_alone(place)
    return f"{place}, for us alone"


def transit(ground: DoctorContext) -> str:
    """The transit keys can be read, and the newest is not too old, by its file's date."""
    path = ground.key_file("transit.jwks", "intake and worker")
    keys = TransitKeys.read(path.parent).keys
    days = int((time.time() - path.stat().st_mtime) // 86_400)
    if days > OLDEST_TRANSIT:
        raise CheckWarning(
            f"the newest transit key is {days} days old, by its file's date, and is good for "
            f"{OLDEST_TRANSIT}; run 'firsthand rotate-transit-key', as "
            "docs/how-to/rotate-the-transit-key.md says"
        )
    return f"transit.jwks opens; {days} days old{_old(ground, keys[1:])}"


def _old(ground: DoctorContext, keys: Sequence[Key]) -> str:
    """How much waits under a key that is to be dropped, as far as the queue can be asked."""
    if not keys:
        return ""
    with suppress(FirsthandError):
        count = count_encrypted_with(ground.queues, ground.settings.partitions, keys[-1].kid)
        return f", {count} messages wait under the old one"
    return ", and an old one"


def issuers(ground: DoctorContext) -> str:
    """Everybody whose tokens we take has a key set that we can read."""
    path = ground.key_file("issuers.json", "intake and read API")
    Callers.from_folder(path.parent, ground.settings.audience)
    return "issuers.json and every key set in it can be read"


def vault(ground: DoctorContext) -> str:
    """The key-encryption key can be read."""
    Vault.from_folder(ground.key_file("kek", "worker and read API").parent)
    return "kek can be read"


def logs(ground: DoctorContext) -> str:
    """Every log has a key."""
    ground.key_file("log-0.key", "workers")
    found = signers(ground.settings)
    names = {each.origin.rpartition("/")[0] for each in found}
    if len(names) > 1:
        raise PreconditionFailed(
            f"the keys name {len(names)} ledgers; put back those that 'init' wrote"
        )
    return f"{len(found)} keys, of {names.pop()}"


def disk(ground: DoctorContext) -> str:
    """There is room where we write."""
    folder = _existing(ground.settings.data.absolute())
    free = shutil.disk_usage(folder).free
    if free < ground.least_free:
        raise PreconditionFailed(
            f"{free // 2**20} MiB are free in {folder}; make room, or nothing is taken"
        )
    return f"{free / 2**30:.1f} GiB free"


def file_system(ground: DoctorContext) -> str:
    """SQLite's locks hold on a local disk only."""
    folder = local_folder(ground.settings)
    if folder is None:
        return "the ledger is not on SQLite"
    kind = _kind(folder.resolve(), ground.mounts)
    if kind in REMOTE:
        told = f"{folder} is on {kind}, a network's"
        raise PreconditionFailed(f"{told}; move it to a local disk, or take PostgreSQL")
    return f"{folder} is on {kind}"


def _kind(folder: Path, mounts: Path) -> str:
    """The type of the file system that holds a folder, by Linux' list (proc(5), mountinfo)."""
    if not mounts.exists():
        raise CheckUnavailable("this system keeps no list of mounts", down=False)
    found = (Path("/"), "unknown")
    for line in mounts.read_text().splitlines():
        before, _, after = line.partition(" - ")
        place = Path(before.split()[4].replace("\\040", " "))
        if folder.is_relative_to(place) and len(place.parts) >= len(found[0].parts):
            found = (place, after.split()[0])
    return found[1]


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())
