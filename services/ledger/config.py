"""Settings and key files of the ledger, shared by the worker, the read API and the commands."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from marshmallow import validate

from services.ledger.log.signed_note import ORIGIN, Signer, Verifier
from shared.errors import PreconditionFailed, SettingsError
from shared.settings import Settings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings(Settings):
    """Additional settings of the worker and the read API."""

    database_url: str = setting(
        "str", "", "sqlite:///… or postgresql+psycopg://… (default: SQLite in DATA)"
    )
    database_owner_url: str = setting(
        "str", "", "The owner of the tables, for 'init' only (default: DATABASE_URL)"
    )
    database_reader_url: str = setting(
        "str",
        "",
        "The read API's separate, read-only role; 'init' creates it (default: DATABASE_URL)",
    )
    read_limit: int = setting(
        "int",
        100,
        "Milliseconds of work a second for one caller's expensive reads; 0: unlimited",
        validate=validate.Range(min=0, max=1_000_000),
    )
    read_burst: int = setting(
        "int",
        5000,
        "Milliseconds of work for one caller's expensive reads before the limit applies",
        validate=validate.Range(min=0, max=1_000_000),
    )
    origin: str = setting(
        "str",
        "",
        "Permanent name of the logs, without scheme (default: 'init' generates one)",
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
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data / 'ledger.db'}"

    @property
    def reading_url(self) -> str:
        """The database's URL for read-only use."""
        return self.database_reader_url or self.store_url


def utc_now() -> datetime:
    """Return the current time; the ledger's clock."""
    return datetime.now(UTC)


def signers(settings: LedgerSettings) -> list[Signer]:
    """Return the signing keys of every log, from `log-<n>.key`.

    Raises SettingsError, naming the file, if one is missing or invalid.
    """
    logs = range(settings.partitions)
    return [read_signer(settings.key_folder / f"log-{log}.key") for log in logs]


def verifier_keys(settings: LedgerSettings) -> list[list[str]]:
    """Return the verifier keys of every log, newest first.

    They are read from the key file, or from `log-<n>.vkey` if the service was provisioned with that
    only, because it signs nothing. Raises SettingsError, naming the file, if one is invalid.
    """
    return [_verifier_keys(settings.key_folder, log) for log in range(settings.partitions)]


def _verifier_keys(folder: Path, log: int) -> list[str]:
    path = folder / f"log-{log}.vkey"
    if (folder / f"log-{log}.key").exists() or not path.exists():
        return read_signer(folder / f"log-{log}.key").vkeys
    vkeys = path.read_text().split()
    try:
        for vkey in vkeys:
            Verifier.parse(vkey)
    except ValueError as fault:
        raise SettingsError(f"{path}: {fault}") from None
    return vkeys


def read_signer(path: Path) -> Signer:
    """Read a key file; raise SettingsError if it is missing or invalid."""
    try:
        return Signer.from_skey(path.read_text())
    except (OSError, ValueError) as fault:
        raise SettingsError(f"{path}: {fault}. Run 'firsthand init' to create one.") from None


def local_folder(settings: LedgerSettings) -> Path | None:
    """Return the folder of a SQLite ledger, whose writer holds a lock; None on PostgreSQL."""
    url = settings.store_url
    if not url.startswith("sqlite"):
        return None
    folder = Path(url.partition("///")[2]).parent
    if not folder.is_dir():
        raise PreconditionFailed(f"missing folder {folder}; run 'firsthand init'")
    return folder
