"""Rotate the signing key of a log, and the transit key."""

import os

from services.ledger.config import LedgerSettings, read_signer
from services.ledger.log.signed_note import Signer
from shared.crypto.transit import KID
from shared.crypto.transit_keys import TransitKeys
from shared.errors import SettingsError
from shared.files import write_atomically
from shared.inbox.lag import count_encrypted_with
from shared.inbox.servers import RedisServers


def rotate_log_key(settings: LedgerSettings, log: int, *, finish: bool) -> Signer:
    """Give a log a new key beside its old one, or retire the old one; the keys that sign now.

    SettingsError if it is not the time for that.
    """
    path = settings.key_folder / f"log-{log}.key"
    signer = read_signer(path)
    try:
        changed = signer.newest_only() if finish else signer.with_new_key(os.urandom(32))
    except ValueError as fault:
        raise SettingsError(f"{path}: {fault}") from None
    write_atomically(path, f"{changed.skey}\n".encode(), 0o600)
    return changed


def rotate_transit_key(
    settings: LedgerSettings, *, finish: bool, ask: bool, lost: str
) -> TransitKeys:
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
        return keys.with_lost_key(folder, lost)
    if not finish:
        return keys.with_new_key(folder)
    if ask and (count := _under_old(settings, keys)):
        raise SettingsError(f"{count} messages wait under the old key; drop it when they are gone")
    return keys.newest_only(folder)


def _under_old(settings: LedgerSettings, keys: TransitKeys) -> int:
    queues = RedisServers.connect(settings.queue_urls)
    return count_encrypted_with(queues, settings.partitions, keys.keys[-1].kid)
