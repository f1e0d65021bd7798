"""The ledger's settings and key files, which the worker, the read API and the commands share."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from marshmallow import validate

from services.ledger.log.signed_note import ORIGIN, Signer, Verifier
from shared.errors import PreconditionFailed, SettingsError
from shared.settings import Settings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings(Settings):
    """What the worker and the read API need besides."""

    database_url: str = setting(
        "str", "", "sqlite:///… or postgresql+psycopg://… (default: SQLite in DATA)"
    )
    database_owner_url: str = setting(
        "str", "", "The owner of the tables, for 'init' alone (default: the database address)"
    )
    database_reader_url: str = setting(
        "str",
        "",
        "The read API's own role, which may only read; 'init' makes it (default: the database "
        "address)",
    )
    read_limit: int = setting(
        "int",
        100,
        "Milliseconds of work a second that one caller's costly reads may take; 0: any number",
        validate=validate.Range(min=0, max=1_000_000),
    )
    read_burst: int = setting(
        "int",
        5000,
        "Milliseconds of work that one caller's costly reads may take at once, before that counts",
        validate=validate.Range(min=0, max=1_000_000),
    )
    origin: str = setting(
        "str",
        "",
        "Permanent name of the logs, without scheme (default: 'init' draws one)",
        validate=validate.Regexp(rf"\A{ORIGIN}\Z", error="Letters, digits and . _ / - only."),
    )
    names: Path | None = setting(
        "path", None, 'JSON file from ids to names shown in sentences, as "Sam (nurse)"'
    )
    queue_server: Path | None = setting(
        "path",
        None,
        "Program of the embedded queue (default: the wheel's Valkey; one on PATH without a wheel)",
    )
    metrics_port: int = setting(
        "int",
        0,
        "Port of the worker's /metrics and /livez; 0: none",
        validate=validate.Range(min=0, max=65535),
    )
    metrics_host: str = setting("str", "127.0.0.1", "Address of the worker's /metrics and /livez")

    @property
    def store_url(self) -> str:
        """The database's address."""
        return self.database_url or f"sqlite:///{self.data / 'ledger.db'}"

    @property
    def reading_url(self) -> str:
        """The database's address for who only reads."""
        return self.database_reader_url or self.store_url


def utc_now() -> datetime:
    """The ledger's clock."""
    return datetime.now(UTC)


def signers(settings: LedgerSettings) -> list[Signer]:
    """The key of each log, from `log-<n>.key`; SettingsError names a file that is wrong."""
    logs = range(settings.partitions)
    return [read_signer(settings.key_folder / f"log-{log}.key") for log in logs]


def verifier_keys(settings: LedgerSettings) -> list[list[str]]:
    """The verifier keys of each log, newest first: what a service that signs nothing needs.

    They stand in the key file, or by themselves in `log-<n>.vkey`, where 'firsthand
    provision-secrets' gave a service no more than that. SettingsError names a file that is wrong.
    """
    return [_verifier_keys(settings.key_folder, log) for log in range(settings.partitions)]


def _verifier_keys(folder: Path, log: int) -> list[str]:
    alone = folder / f"log-{log}.vkey"
    if (folder / f"log-{log}.key").exists() or not alone.exists():
        return read_signer(folder / f"log-{log}.key").vkeys
    vkeys = alone.read_text().split()
    try:
        for each in vkeys:
            Verifier.parse(each)
    except ValueError as fault:
        raise SettingsError(f"{alone}: {fault}") from None
    return vkeys


def read_signer(path: Path) -> Signer:
    """The key in a file; SettingsError if it is not there or not one."""
    try:
        return Signer.from_skey(path.read_text())
    except (OSError, ValueError) as fault:
        raise SettingsError(f"{path}: {fault}. Run 'firsthand init' to make one.") from None


def local_folder(settings: LedgerSettings) -> Path | None:
    """The folder of a SQLite ledger, whose one writer holds a lock; None on PostgreSQL."""
    url = settings.store_url
    if not url.startswith("sqlite"):
        return None
    folder = Path(url.partition("///")[2]).parent
    if not folder.is_dir():
        raise PreconditionFailed(f"there is no folder {folder}; run 'firsthand init'")
    return folder
