"""Rotation of a log's signing key, and of the transit key."""

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
    """Add a new key to a log, or retire the old one; return the signer with the present keys.

    Raises SettingsError if the other step is due.
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
    """Add a new transit key, drop the old one, or mark one as lost; return the present keys.

    Raises SettingsError if another step is due. A key is dropped only if no message waits under
    it. The queue is checked for that, unless `ask` is False; raises Unavailable if it is
    unreachable.
    """
    folder = settings.key_folder
    keys = TransitKeys.read(folder)
    if lost:
        if not KID.fullmatch(lost):
            raise SettingsError(
                f"{lost} is not a key id; take it from the output of 'firsthand doctor'"
            )
        return keys.with_lost_key(folder, lost)
    if not finish:
        return keys.with_new_key(folder)
    if ask and (count := _under_old(settings, keys)):
        raise SettingsError(f"{count} messages use the old key; drop it when they are recorded")
    return keys.newest_only(folder)


def _under_old(settings: LedgerSettings, keys: TransitKeys) -> int:
    queues = RedisServers.connect(settings.queue_urls)
    return count_encrypted_with(queues, settings.partitions, keys.keys[-1].kid)
