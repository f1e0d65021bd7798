"""Settings: one frozen object a service, read from FIRSTHAND_* variables.

Every variable is declared once, below, with its kind, default and meaning; the reference page
is made from it. `<variable>_FILE` names a file that holds the value instead: an address with a
password in it need not stand in the environment. A bad value stops the process at start with
every fault named at once. Intake's settings have no database address, and intake does not look
for one.
"""

import os
from dataclasses import Field, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, cast

from environs import Env, EnvValidationError
from marshmallow import validate

from shared.errors import SettingsError

PREFIX = "FIRSTHAND_"
LONGEST_SOCKET = 100
MOST_PARTITIONS = 1024


def setting(kind: str, default: Any, meaning: str, **options: Any) -> Any:
    """Declare a setting: name of the environs parser, default, meaning, validators."""
    return field(metadata={"kind": kind, "default": default, "meaning": meaning, **options})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every process of Firsthand needs to know."""

    data: Path = setting("path", Path(".firsthand"), "Folder of keys and, embedded, of all data")
    keys: Path | None = setting("path", None, "Folder of key files (default: keys in DATA)")
    redis_url: str = setting(
        "str",
        "",
        "The inbox's Redis or Valkey; several with a space between: partition n is on server n "
        "modulo their number (default: the embedded one in DATA)",
    )
    queue_memory: str = setting(
        "str",
        "1gb",
        "Memory that the embedded queue may use, as 512mb or 1gb; beyond it intake answers 503",
        validate=validate.Regexp(r"(?i)\A[1-9][0-9]*(kb|mb|gb)?\Z", error="As 512mb, 1gb."),
    )
    partitions: int = setting(
        "int",
        1,
        "Number of partitions, fixed when the ledger is made",
        validate=validate.Range(min=1, max=MOST_PARTITIONS),
    )
    replicas: int = setting(
        "int",
        0,
        "Redis replicas that must have an event before 202",
        validate=validate.Range(min=0, max=16),
    )
    audience: str = setting("str", "firsthand", "`aud` that tokens must carry")
    log_level: str = setting(
        "str",
        "info",
        "debug, info, warning or error",
        validate=validate.OneOf(["debug", "info", "warning", "error"]),
    )

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the settings from the environment; `overrides` that are not None take precedence.

        Raises SettingsError that names every invalid variable.
        """
        env = _Environment(eager=False, prefix=PREFIX)
        values: dict[str, Any] = {}
        faults: list[str] = []
        for declared in fields(cls):
            try:
                values[declared.name] = _read(env, declared)
            except SettingsError as fault:
                faults.append(str(fault))
        try:
            env.seal()
        except EnvValidationError as fault:
            messages = cast(dict[str, list[str]], fault.error_messages)
            faults += (f"{name}: {' '.join(why)}" for name, why in messages.items())
        if faults:
            raise SettingsError("; ".join(faults))
        return cls(
            **values | {name: value for name, value in overrides.items() if value is not None}
        )

    @property
    def queue_urls(self) -> list[str]:
        """URLs of the inbox: the configured ones, or the embedded server's socket."""
        return self.redis_url.split() or [f"unix://{_socket_in(self.data.absolute())}"]

    @property
    def queue_url(self) -> str:
        """URL of the first server, which has the doorbell."""
        return self.queue_urls[0]

    @property
    def key_folder(self) -> Path:
        """Folder of the key files."""
        return self.keys or self.data / "keys"


def _socket_in(folder: Path) -> Path:
    """Return the path of the embedded server's socket, which has at most 107 bytes on Linux."""
    path = folder / "valkey.sock"
    if len(str(path)) < LONGEST_SOCKET:
        return path
    short = sha256(str(folder).encode()).hexdigest()[:16]
    return Path("/tmp") / f"firsthand-{short}" / path.name  # noqa: S108 - made with mode 0700


class _Environment(Env):
    """Reads a variable, or the file that `<variable>_FILE` names. Empty variables are unset."""

    def _get_value(self, env_key: str, default: Any) -> Any:
        value, file = os.environ.get(env_key), os.environ.get(f"{env_key}_FILE")
        if not file:
            return value or default  # compose passes unset variables as empty ones
        if value:
            raise SettingsError(f"{env_key}: {env_key}_FILE is set as well; set one of the two")
        try:
            if secret := Path(file).read_text().strip():
                return secret
        except (OSError, ValueError) as fault:
            why = getattr(fault, "strerror", None) or "not a text"
            raise SettingsError(f"{env_key}_FILE: {file}: {why}") from None
        raise SettingsError(f"{env_key}_FILE: {file} is empty")  # do not fall back to the default


def _read(env: Env, declared: Field[Any]) -> Any:
    options = dict(declared.metadata)
    del options["meaning"]
    parse = getattr(env, options.pop("kind"))
    return parse(declared.name.upper(), options.pop("default"), **options)


def variables(*kinds: type[Settings]) -> list[tuple[str, str, str, str]]:
    """Return the rows (variable, default, meaning, reader) of the reference page."""
    rows: dict[str, tuple[str, str, str, str]] = {}
    for kind in kinds:
        for declared in fields(kind):
            name, options = PREFIX + declared.name.upper(), declared.metadata
            readers = f"{rows[name][3]}, {kind.__name__}" if name in rows else kind.__name__
            rows[name] = (
                name,
                "" if options["default"] is None else str(options["default"]),
                options["meaning"],
                readers,
            )
    return sorted(rows.values())
