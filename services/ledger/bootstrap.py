"""Start of a ledger process: opens and checks the store and the vault."""

from services.ledger.config import LedgerSettings, signers
from services.ledger.fold import unwrap_keys
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.store import append_only, reads, setup
from services.ledger.store.database import Connection, Engine, StoreError, connect, transaction
from services.ledger.vault import Vault
from shared.errors import PreconditionFailed


def open_store(settings: LedgerSettings, *, write: bool) -> tuple[Engine, Vault]:
    """Open and check the store, and the vault with the ledger's key.

    Raises PreconditionFailed if a check fails.
    """
    vault = Vault.from_folder(settings.key_folder)
    engine = connect(settings.store_url if write else settings.reading_url, write=write)
    try:
        with transaction(engine) as connection:
            setup.check_ledger(connection, partitions=settings.partitions, origin=settings.origin)
            unwrap_keys(connection, vault, ())
            if settings.database_reader_url and not write:
                append_only.check_reader(connection)
            if write:
                check_signers(connection, settings)
    except StoreError as fault:
        engine.dispose()
        raise PreconditionFailed(f"the database is unavailable: {type(fault).__name__}") from fault
    except BaseException:
        engine.dispose()
        raise
    return engine, vault


def check_signers(connection: Connection, settings: LedgerSettings) -> None:
    """Raise PreconditionFailed unless every log's head is signed by a key of its file.

    Retired keys count too.
    """
    for log, signer in enumerate(signers(settings)):
        head = reads.head(connection, log)
        try:
            read_checkpoint(head.checkpoint if head else "", *signer.vkeys)
        except ValueError as fault:
            raise PreconditionFailed(
                f"{settings.key_folder}/log-{log}.key is not the key of this ledger's log {log}: "
                f"{fault}; restore the key that 'firsthand init' wrote"
            ) from None
