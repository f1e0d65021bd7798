"""Provisioning of secrets: fill one folder per container with the secrets that it needs.

    intake      transit.jwks, queue.url, issuers.json, the issuers' *.jwks
    worker      transit.jwks, queue.url, database.url, kek, log-<n>.key, witnesses.json
    ledger      queue-reader.url, database-reader.url, kek, log-<n>.vkey, witnesses.json,
                issuers.json, the issuers' *.jwks
    valkey      users.acl
    postgres    owner.password

All of them are copies from the key folder, which only `init` and backups need. Run again, it copies
changed files and removes those that are no longer in the key folder.
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
GROUP_READS = {"valkey", "postgres"}  # they run under another account, in this group
# Clients without a password may only PING. The services may access their own keys, without commands
# that could delete or dump all data. The read API may read the published checkpoint, the number of
# unrecorded messages, and why a partition is blocked. It has no command that returns a message, not
# even an encrypted one (XINFO STREAM … FULL would).
ACCOUNTS = """user default on nopass resetkeys resetchannels -@all +ping
user firsthand on #{queue} ~firsthand:* ~{{firsthand}}:* allchannels +@all -@dangerous {extra}
user reader on #{reader} %R~firsthand:*:published %R~firsthand:*:waiting %R~firsthand:*:inbox \
resetchannels -@all +get +xlen +ping +client|setinfo
"""
EXTRA = "+info +config|get +client|list"  # RQ uses `info` and `client list`


def provision_secrets(
    settings: LedgerSettings, to: Path, *, queue: str, database: str
) -> dict[str, int]:
    """Create missing secrets and fill each service's folder in `to`; return file counts by service.

    `queue` is host:port, `database` is host:port/name. The folders must exist.
    """
    make_keys(settings)
    folder = settings.key_folder
    _make_passwords(folder, queue, database)
    for log, vkeys in enumerate(verifier_keys(settings)):
        write_atomically(folder / f"log-{log}.vkey", "\n".join([*vkeys, ""]).encode(), 0o644)
    return {who: _mirror(folder, to / who, names) for who, names in _shares(folder).items()}


def _make_passwords(folder: Path, queue: str, database: str) -> None:
    """Create missing passwords, and write the files derived from them."""
    passwords = {}
    for name in ("queue", "reader", ROLE, "database-reader", OWNER):
        write_if_absent(folder / f"{name}.password", secrets.token_urlsafe(32).encode())
        passwords[name] = (folder / f"{name}.password").read_text().strip()
    hashed = {name: sha256(secret.encode()).hexdigest() for name, secret in passwords.items()}
    texts = {
        "users.acl": ACCOUNTS.format(**hashed, extra=EXTRA),
        "queue.url": f"redis://firsthand:{passwords['queue']}@{queue}/0",
        "queue-reader.url": f"redis://reader:{passwords['reader']}@{queue}/0",
        "database.url": f"postgresql+psycopg://{ROLE}:{passwords[ROLE]}@{database}",
        "database-reader.url": f"postgresql+psycopg://{READER}:{passwords['database-reader']}@{database}",
        "owner.url": f"postgresql+psycopg://{OWNER}:{passwords[OWNER]}@{database}",
    }
    for name, text in texts.items():
        write_atomically(folder / name, text.encode(), 0o600)


def _shares(folder: Path) -> dict[str, set[str]]:
    """Return the names of the files that each service needs."""
    issuers = {file.name for file in folder.glob("*.jwks")} - {"transit.jwks"} | {"issuers.json"}
    signing, public, witnesses = (
        {file.name for file in folder.glob(pattern)}
        for pattern in ("log-*.key", "log-*.vkey", "witnesses.json")
    )
    shared = {"transit.jwks", "queue.url"}
    return {
        "intake": shared | issuers,
        "worker": shared | signing | witnesses | {"database.url", "kek"},
        "ledger": issuers | public | witnesses | {"queue-reader.url", "database-reader.url", "kek"},
        "valkey": {"users.acl"},
        "postgres": {f"{OWNER}.password"},
    }


def _mirror(source: Path, to: Path, names: set[str]) -> int:
    if not to.is_dir():
        raise SettingsError(f"the folder {to} does not exist; create or mount one for each service")
    for obsolete in {file.name for file in to.iterdir()} - names:
        (to / obsolete).unlink()
    for name in names:
        mode = 0o640 if to.name in GROUP_READS else 0o600
        write_atomically(to / name, (source / name).read_bytes(), mode)
    return len(names)
