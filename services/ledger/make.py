"""`init`: the key files, the store's tables and roles, the logs. Repeatable; it changes nothing
that is there.
"""

import os
import secrets

from services.ledger.config import LedgerSettings, now, read_signer, signers
from services.ledger.log.note import Signer
from services.ledger.store.setup import make_ledger
from services.ledger.vault import Vault
from shared.callers import make_local_issuer
from shared.event import timestamp
from shared.inbox import Queues
from shared.keyfiles import keep, put
from shared.lag import under
from shared.problems import SettingsError
from shared.transit import KID, Transit
from shared.transit_keys import TransitKeys


def init(settings: LedgerSettings) -> str:
    """Make what is missing; returns the origin of the logs, without their numbers.

    SettingsError if we may not write there.
    """
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        origin = make_keys(settings)
        make_ledger(
            settings.database_owner_url or settings.store_url,
            settings.store_url,
            partitions=settings.partitions,
            origin=origin,
            created=timestamp(now()),
            signers=signers(settings),
            vault=Vault.from_folder(settings.key_folder),
            reader_url=settings.database_reader_url,
        )
    except OSError as fault:
        why = f"{fault.filename or settings.data}: {fault.strerror}"
        raise SettingsError(f"{why}; set FIRSTHAND_DATA to a folder that we may write") from None
    return origin


def make_keys(settings: LedgerSettings) -> str:
    """Make the key files that are missing; returns the origin of the logs."""
    folder = settings.key_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_local_issuer(folder)
    Transit.make(folder)
    Vault.make(folder)
    return _log_keys(settings)


def _log_keys(settings: LedgerSettings) -> str:
    """A signing key a log, named by the log's origin, which is permanent."""
    first = settings.key_folder / "log-0.key"
    known = read_signer(first).origin.rpartition("/")[0] if first.exists() else ""
    origin = settings.origin or known or f"firsthand-{secrets.token_hex(8)}"
    for log in range(settings.partitions):
        signer = Signer(f"{origin}/{log}", os.urandom(32))
        keep(settings.key_folder / f"log-{log}.key", f"{signer.skey}\n".encode())
    return origin


def rotate(settings: LedgerSettings, log: int, *, finish: bool) -> Signer:
    """Give a log a new key beside its old one, or retire the old one; the keys that sign now.

    SettingsError if it is not the time for that.
    """
    path = settings.key_folder / f"log-{log}.key"
    signer = read_signer(path)
    try:
        changed = signer.alone() if finish else signer.joined(os.urandom(32))
    except ValueError as fault:
        raise SettingsError(f"{path}: {fault}") from None
    put(path, f"{changed.skey}\n".encode(), 0o600)
    return changed


def rotate_transit(settings: LedgerSettings, *, finish: bool, ask: bool, lost: str) -> TransitKeys:
    """Put a new transit key before the old one, drop the old one, or give one up as lost; the keys
    that are there now.

    SettingsError if it is not the time for that. Nothing is dropped under which a message waits:
    the queue is asked, unless `ask` is False. Unavailable if it does not answer.
    """
    folder = settings.key_folder
    keys = TransitKeys.read(folder)
    if lost:
        if not KID.fullmatch(lost):
            raise SettingsError(f"{lost} is no key's name; take it from what the doctor says")
        return keys.without(folder, lost)
    if not finish:
        return keys.joined(folder)
    if ask and (count := _under_old(settings, keys)):
        raise SettingsError(f"{count} messages wait under the old key; drop it when they are gone")
    return keys.alone(folder)


def _under_old(settings: LedgerSettings, keys: TransitKeys) -> int:
    queues = Queues.connect(settings.queue_urls)
    return under(queues, settings.partitions, keys.keys[-1].kid)
