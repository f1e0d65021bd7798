"""`init`: the key files, the store's tables and roles, the logs. Repeatable; it changes nothing
that is there.
"""

import os
import secrets

from services.ledger.config import LedgerSettings, now, signers
from services.ledger.log.note import Signer
from services.ledger.store.setup import make_ledger
from services.ledger.vault import Vault
from shared.callers import make_local_issuer
from shared.event import timestamp
from shared.transit import Transit


def init(settings: LedgerSettings) -> str:
    """Make what is missing; returns the origin of the logs, without their numbers."""
    folder = settings.key_folder
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "issuers.json").exists():
        make_local_issuer(folder)
    if not (folder / "transit.jwks").exists():
        Transit.make(folder)
    if not (folder / "kek").exists():
        Vault.make(folder)
    origin = _log_keys(settings)
    make_ledger(
        settings.database_owner_url or settings.store_url,
        settings.store_url,
        partitions=settings.partitions,
        origin=origin,
        created=timestamp(now()),
        signers=signers(settings),
        vault=Vault.from_folder(folder),
    )
    return origin


def _log_keys(settings: LedgerSettings) -> str:
    """A signing key a log, named by the log's origin, which is permanent."""
    first = settings.key_folder / "log-0.key"
    if first.exists():
        known = Signer.from_skey(first.read_text()).origin.rpartition("/")[0]
        return settings.origin or known
    origin = settings.origin or f"firsthand-{secrets.token_hex(8)}"
    for log in range(settings.partitions):
        path = settings.key_folder / f"log-{log}.key"
        path.touch(mode=0o600)
        path.write_text(Signer(f"{origin}/{log}", os.urandom(32)).skey + "\n")
    return origin
