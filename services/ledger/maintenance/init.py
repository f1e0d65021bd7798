"""Initialisation of a ledger: key files, tables, roles and logs. Idempotent."""

import os
import secrets

from services.ledger.config import LedgerSettings, read_signer, signers, utc_now
from services.ledger.log.signed_note import Signer
from services.ledger.store.setup import make_ledger
from services.ledger.vault import Vault
from shared.auth.tokens import make_local_issuer
from shared.crypto.transit import Transit
from shared.errors import SettingsError
from shared.events.event import timestamp
from shared.files import write_if_absent


def init(settings: LedgerSettings) -> str:
    """Create what is missing; return the origin of the logs, without their numbers.

    Raises SettingsError if a file cannot be written.
    """
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        origin = make_keys(settings)
        make_ledger(
            settings.database_owner_url or settings.store_url,
            settings.store_url,
            partitions=settings.partitions,
            origin=origin,
            created=timestamp(utc_now()),
            signers=signers(settings),
            vault=Vault.from_folder(settings.key_folder),
            reader_url=settings.database_reader_url,
        )
    except OSError as fault:
        message = f"{fault.filename or settings.data}: {fault.strerror}"
        raise SettingsError(f"{message}; set FIRSTHAND_DATA to a writable folder") from None
    return origin


def make_keys(settings: LedgerSettings) -> str:
    """Create the key files that are missing; return the origin of the logs."""
    folder = settings.key_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_local_issuer(folder)
    Transit.make(folder)
    Vault.make(folder)
    return _log_keys(settings)


def _log_keys(settings: LedgerSettings) -> str:
    """Create a signing key for every log, named after the log's permanent origin."""
    first = settings.key_folder / "log-0.key"
    known = read_signer(first).origin.rpartition("/")[0] if first.exists() else ""
    origin = settings.origin or known or f"firsthand-{secrets.token_hex(8)}"
    for log in range(settings.partitions):
        signer = Signer(f"{origin}/{log}", os.urandom(32))
        write_if_absent(settings.key_folder / f"log-{log}.key", f"{signer.skey}\n".encode())
    return origin
