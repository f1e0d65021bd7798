"""What each container gets, and that nothing else reaches it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url

from services.ledger.config import LedgerSettings, verifier_keys
from services.ledger.maintenance.init import init
from services.ledger.maintenance.key_rotation import rotate_log_key
from services.operations.provision import provision_secrets
from shared.errors import SettingsError

SERVICES = ("intake", "worker", "ledger", "valkey", "postgres")
QUEUE, DATABASE = "valkey:6379", "postgres:5432/firsthand"
BETWEEN, ISSUERS = {"transit.jwks", "queue.url"}, {"issuers.json", "tokens.jwks"}
SHARES = {
    "intake": BETWEEN | ISSUERS,
    "worker": BETWEEN | {"kek", "database.url", "log-0.key", "log-1.key"},
    "ledger": ISSUERS
    | {"kek", "database-reader.url", "queue-reader.url", "log-0.vkey", "log-1.vkey"},
    "valkey": {"users.acl"},
    "postgres": {"owner.password"},
}


@pytest.fixture
def settings(tmp_path: Path) -> LedgerSettings:
    for each in SERVICES:
        (tmp_path / "to" / each).mkdir(parents=True)
    return LedgerSettings.load(data=tmp_path, keys=tmp_path / "keys", partitions=2)


def run(settings: LedgerSettings) -> dict[str, int]:
    return provision_secrets(settings, settings.data / "to", queue=QUEUE, database=DATABASE)


def contents(settings: LedgerSettings) -> dict[str, dict[str, bytes]]:
    to = settings.data / "to"
    return {
        who: {path.name: path.read_bytes() for path in (to / who).iterdir()} for who in SERVICES
    }


def test_each_gets_its_own_files_and_no_others(settings: LedgerSettings) -> None:
    told = run(settings)
    assert {who: set(files) for who, files in contents(settings).items()} == SHARES
    assert told == {who: len(files) for who, files in SHARES.items()}


def test_a_second_time_changes_nothing(settings: LedgerSettings) -> None:
    run(settings)
    before = contents(settings)
    run(settings)
    assert contents(settings) == before


def test_what_is_new_is_copied_and_what_is_gone_is_taken_away(settings: LedgerSettings) -> None:
    run(settings)
    (settings.key_folder / "clinic.jwks").write_text('{"keys": []}')
    run(settings)
    has = {who for who, files in contents(settings).items() if "clinic.jwks" in files}
    assert has == {"intake", "ledger"}
    (settings.key_folder / "clinic.jwks").unlink()
    run(settings)
    assert {who: set(files) for who, files in contents(settings).items()} == SHARES


def test_keys_that_are_there_stay(settings: LedgerSettings) -> None:
    init(settings)
    before = {path.name: path.read_bytes() for path in settings.key_folder.iterdir()}
    run(settings)
    after = {path.name: path.read_bytes() for path in settings.key_folder.iterdir()}
    assert before.items() <= after.items()


def test_the_same_password_stands_everywhere(settings: LedgerSettings) -> None:
    run(settings)
    found = contents(settings)
    url = found["intake"]["queue.url"].decode()
    password = url.removeprefix("redis://firsthand:").removesuffix("@valkey:6379/0")
    assert len(password) >= 40
    assert f"#{hashlib.sha256(password.encode()).hexdigest()} " in str(found["valkey"])
    assert password not in str(found["valkey"])
    owner = (settings.key_folder / "owner.url").read_text()
    secret = found["postgres"]["owner.password"].decode()
    assert owner == f"postgresql+psycopg://owner:{secret}@{DATABASE}"
    assert secret not in str({who: found[who] for who in ("intake", "worker", "ledger")})


def test_the_read_api_has_a_database_role_of_its_own(settings: LedgerSettings) -> None:
    run(settings)
    found = contents(settings)
    reader = found["ledger"]["database-reader.url"].decode()
    assert reader.startswith("postgresql+psycopg://reader:")
    assert reader.endswith(f"@{DATABASE}")
    services = found["worker"]["database.url"].decode()
    assert services.startswith("postgresql+psycopg://services:")
    assert make_url(reader).password != make_url(services).password
    assert str(make_url(services).password) not in str(found["ledger"])


def test_nothing_is_for_everybodys_eyes(settings: LedgerSettings) -> None:
    run(settings)
    for copy in (settings.data / "to").glob("*/*"):
        group = copy.parent.name in ("valkey", "postgres")
        assert copy.stat().st_mode & 0o777 == (0o640 if group else 0o600)
    public = ISSUERS | {"log-0.vkey", "log-1.vkey"}
    for path in settings.key_folder.iterdir():
        assert path.stat().st_mode & 0o777 == (0o644 if path.name in public else 0o600)


def test_verifier_keys_are_read_from_either_file_and_the_signing_key_wins(
    settings: LedgerSettings,
) -> None:
    run(settings)
    ledger = replace(settings, keys=settings.data / "to" / "ledger")
    assert verifier_keys(ledger) == verifier_keys(settings)
    rotate_log_key(settings, 0, finish=False)
    assert verifier_keys(settings)[0][1:] == verifier_keys(ledger)[0]
    run(settings)
    assert verifier_keys(ledger) == verifier_keys(settings)


def test_a_verifier_key_that_is_none_is_named(settings: LedgerSettings) -> None:
    run(settings)
    (settings.data / "to/ledger/log-0.vkey").write_text("not a key")
    with pytest.raises(SettingsError, match=r"to/ledger/log-0\.vkey: "):
        verifier_keys(replace(settings, keys=settings.data / "to" / "ledger"))


def test_a_folder_that_is_missing_is_named(settings: LedgerSettings) -> None:
    (settings.data / "to" / "valkey").rmdir()
    with pytest.raises(SettingsError, match=r"the folder .*/to/valkey does not exist"):
        run(settings)
