"""Gives each container a folder with its own secrets and nothing else: the first step of compose.

    intake      transit.jwks, queue.url, issuers.json, the issuers' *.jwks
    worker      transit.jwks, queue.url, database.url, kek, log-<n>.key, witnesses.json
    ledger      queue-reader.url, database-reader.url, kek, log-<n>.vkey, witnesses.json,
                issuers.json, the issuers' *.jwks
    valkey      users.acl
    postgres    owner.password

All of it lies in the key folder, which nobody else needs but `init` and whoever makes backups.
Run again, it copies what changed there, and takes away what is there no more.
"""

import secrets
from hashlib import sha256
from pathlib import Path

from services.ledger.config import LedgerSettings, verifier_keys
from services.ledger.maintenance.init import make_keys
from shared.errors import SettingsError
from shared.files import write_atomically, write_if_absent

# The database's three roles; see docs/how-to/run-with-postgresql.md.
ROLE, READER, OWNER = "services", "reader", "owner"
GROUP_READS = {"valkey", "postgres"}  # they have an account of their own, in our group
# Whoever has no password may ask whether the queue answers, and nothing else. The services may
# touch their own keys, with no command that could lose or lay open what rests there. The read API
# may look up what was published, how many messages are not yet recorded, and why a partition waits:
# it has no command that shows a message, sealed as they are (XINFO STREAM … FULL would).
ACCOUNTS = """user default on nopass resetkeys resetchannels -@all +ping
user firsthand on #{queue} ~firsthand:* ~{{firsthand}}:* allchannels +@all -@dangerous {besides}
user reader on #{reader} %R~firsthand:*:published %R~firsthand:*:waiting %R~firsthand:*:inbox \
resetchannels -@all +get +xlen +ping +client|setinfo
"""
BESIDES = "+info +config|get +client|list"  # `info` and `client list`: RQ asks them


def provision_secrets(
    settings: LedgerSettings, to: Path, *, queue: str, database: str
) -> dict[str, int]:
    """Make what is missing, and fill a folder in `to` for each; returns how many files each got.

    `queue` is host:port, `database` is host:port/name. The folders must be there.
    """
    make_keys(settings)
    folder = settings.key_folder
    _make_passwords(folder, queue, database)
    for log, vkeys in enumerate(verifier_keys(settings)):
        write_atomically(folder / f"log-{log}.vkey", "\n".join([*vkeys, ""]).encode(), 0o644)
    return {who: _mirror(folder, to / who, names) for who, names in _shares(folder).items()}


def _make_passwords(folder: Path, queue: str, database: str) -> None:
    """A password each, made once; what is said with them follows from it."""
    told = {}
    for name in ("queue", "reader", ROLE, "database-reader", OWNER):
        write_if_absent(folder / f"{name}.password", secrets.token_urlsafe(32).encode())
        told[name] = (folder / f"{name}.password").read_text().strip()
    hashed = {name: sha256(secret.encode()).hexdigest() for name, secret in told.items()}
    texts = {
        "users.acl": ACCOUNTS.format(**hashed, besides=BESIDES),
        "queue.url": f"redis://firsthand:{told['queue']}@{queue}/0",
        "queue-reader.url": f"redis://reader:{told['reader']}@{queue}/0",
        "database.url": f"postgresql+psycopg://{ROLE}:{told[ROLE]}@{database}",
        "database-reader.url": f"postgresql+psycopg://{READER}:{told['database-reader']}@{database}",
        "owner.url": f"postgresql+psycopg://{OWNER}:{told[OWNER]}@{database}",
    }
    for name, text in texts.items():
        write_atomically(folder / name, text.encode(), 0o600)


def _shares(folder: Path) -> dict[str, set[str]]:
    """Who gets which of the files."""
    issuers = {each.name for each in folder.glob("*.jwks")} - {"transit.jwks"} | {"issuers.json"}
    signing, public, witnesses = (
        {each.name for each in folder.glob(pattern)}
        for pattern in ("log-*.key", "log-*.vkey", "witnesses.json")
    )
    between = {"transit.jwks", "queue.url"}
    return {
        "intake": between | issuers,
        "worker": between | signing | witnesses | {"database.url", "kek"},
        "ledger": issuers | public | witnesses | {"queue-reader.url", "database-reader.url", "kek"},
        "valkey": {"users.acl"},
        "postgres": {f"{OWNER}.password"},
    }


def _mirror(source: Path, to: Path, names: set[str]) -> int:
    if not to.is_dir():
        raise SettingsError(f"there is no folder {to}; make one for each service, or mount it")
    for gone in {each.name for each in to.iterdir()} - names:
        (to / gone).unlink()
    for name in names:
        mode = 0o640 if to.name in GROUP_READS else 0o600
        write_atomically(to / name, (source / name).read_bytes(), mode)
    return len(names)
