"""Settings: read once, all faults named at once, nothing guessed."""

from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from shared.errors import SettingsError
from shared.settings import PREFIX, Settings, variables

NAMES = [each.name for each in fields(Settings)]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of this machine speaks."""
    for name in NAMES:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
        monkeypatch.delenv(f"{PREFIX}{name.upper()}_FILE", raising=False)


def refusal() -> str:
    """What is said about the environment."""
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    return str(caught.value)


def test_without_any_variable_the_defaults_hold() -> None:
    told = Settings.load()
    assert told.data == Path(".firsthand")
    assert (told.partitions, told.replicas, told.audience) == (1, 0, "firsthand")
    assert (told.redis_url, told.log_level) == ("", "info")
    assert told.key_folder == Path(".firsthand/keys")


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: dict[str, Any] = {
        "data": Path("/tmp/d"),  # noqa: S108 - only named, never opened
        "keys": Path("/tmp/k"),  # noqa: S108 - only named, never opened
        "redis_url": "redis://queue.example/0",
        "queue_memory": "512mb",
        "partitions": 8,
        "replicas": 2,
        "audience": "ours",
        "log_level": "debug",
    }
    for name, value in wanted.items():
        monkeypatch.setenv(PREFIX + name.upper(), str(value))
    told = Settings.load()
    assert {name: getattr(told, name) for name in NAMES} == wanted
    assert told.key_folder == wanted["keys"]


def test_what_is_given_wins_unless_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTHAND_PARTITIONS", "4")
    monkeypatch.setenv("FIRSTHAND_AUDIENCE", "theirs")
    told = Settings.load(partitions=None, audience="ours")
    assert (told.partitions, told.audience) == (4, "ours")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("PARTITIONS", value) for value in ("0", "-1", "1025", "two", "1.5", "1e3", "0x8")],
        *[("REPLICAS", value) for value in ("-1", "17", "all", "1.0")],
        *[("LOG_LEVEL", value) for value in ("loud", "INFO", "info ")],
    ],
)
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    assert refusal().startswith(f"{PREFIX}{name}: ")


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PARTITIONS", "REPLICAS", "LOG_LEVEL"):
        monkeypatch.setenv(PREFIX + name, "wrong")
    told = refusal()
    assert [name for name in NAMES if PREFIX + name.upper() in told] == [
        "partitions",
        "replicas",
        "log_level",
    ]


@pytest.mark.parametrize("partitions", ["1", "1024", "7"])
def test_the_ends_of_a_range_belong_to_it(monkeypatch: pytest.MonkeyPatch, partitions: str) -> None:
    monkeypatch.setenv("FIRSTHAND_PARTITIONS", partitions)
    assert Settings.load().partitions == int(partitions)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings.load().partitions = 2  # type: ignore[misc]  # that is what is tried


def test_settings_know_no_database() -> None:
    assert not [name for name in NAMES if "database" in name]


def test_every_setting_has_its_row_in_the_reference() -> None:
    rows = {variable: meaning for variable, _, meaning, _ in variables(Settings)}
    assert list(rows) == sorted(PREFIX + name.upper() for name in NAMES)
    assert all(rows.values())


def test_a_row_says_who_reads_it() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Other(Settings):
        """A service's settings."""

    assert {readers for _, _, _, readers in variables(Settings, Other)} == {"Settings, Other"}


def test_an_empty_folder_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTHAND_KEYS", "")
    assert Settings.load().key_folder == Path(".firsthand/keys")


def test_a_value_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://firsthand:secret@queue.example/0\n")
    (tmp_path / "partitions").write_text(" 4 \n")
    monkeypatch.setenv("FIRSTHAND_REDIS_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("FIRSTHAND_PARTITIONS_FILE", str(tmp_path / "partitions"))
    told = Settings.load()
    assert (told.redis_url, told.partitions) == ("redis://firsthand:secret@queue.example/0", 4)


def test_what_is_wrong_with_a_file_is_named_beside_all_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "two").write_text("two")
    monkeypatch.setenv("FIRSTHAND_REDIS_URL_FILE", str(tmp_path / "empty"))
    monkeypatch.setenv("FIRSTHAND_AUDIENCE_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("FIRSTHAND_KEYS_FILE", str(tmp_path))
    monkeypatch.setenv("FIRSTHAND_DATA_FILE", str(tmp_path / "bytes"))
    monkeypatch.setenv("FIRSTHAND_PARTITIONS_FILE", str(tmp_path / "two"))
    monkeypatch.setenv("FIRSTHAND_LOG_LEVEL", "loud")
    told = refusal()
    assert f"FIRSTHAND_REDIS_URL_FILE: {tmp_path / 'empty'} is empty" in told
    assert f"FIRSTHAND_AUDIENCE_FILE: {tmp_path / 'none'}: No such file" in told
    assert f"FIRSTHAND_KEYS_FILE: {tmp_path}: Is a directory" in told
    assert f"FIRSTHAND_DATA_FILE: {tmp_path / 'bytes'}: not a text" in told
    assert "FIRSTHAND_PARTITIONS: " in told
    assert "FIRSTHAND_LOG_LEVEL: " in told


def test_a_value_stands_in_one_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("theirs")
    monkeypatch.setenv("FIRSTHAND_AUDIENCE", "ours")
    monkeypatch.setenv("FIRSTHAND_AUDIENCE_FILE", str(tmp_path / "file"))
    assert refusal() == (
        "FIRSTHAND_AUDIENCE: FIRSTHAND_AUDIENCE_FILE is set as well; set one of the two"
    )
