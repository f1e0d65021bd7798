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
    """A setting's declaration: environs' parser name, default, meaning, validators."""
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
    def load(cls, **given: Any) -> Self:
        """Settings from the environment; what is `given` and not None wins.

        Raises SettingsError that names every bad variable at once.
        """
        env = _Environment(eager=False, prefix=PREFIX)
        values: dict[str, Any] = {}
        faults: list[str] = []
        for each in fields(cls):
            try:
                values[each.name] = _read(env, each)
            except SettingsError as fault:
                faults.append(str(fault))
        try:
            env.seal()
        except EnvValidationError as fault:
            messages = cast(dict[str, list[str]], fault.error_messages)
            faults += (f"{name}: {' '.join(why)}" for name, why in messages.items())
        if faults:
            raise SettingsError("; ".join(faults))
        return cls(**values | {name: value for name, value in given.items() if value is not None})

    @property
    def queue_urls(self) -> list[str]:
        """The inbox's addresses: those given, or the embedded server's socket."""
        return self.redis_url.split() or [f"unix://{_socket_in(self.data.absolute())}"]

    @property
    def queue_url(self) -> str:
        """The address of the first, where the doorbell is."""
        return self.queue_urls[0]

    @property
    def key_folder(self) -> Path:
        """Where the key files lie."""
        return self.keys or self.data / "keys"


def _socket_in(folder: Path) -> Path:
    """The embedded server's socket; a socket's name has 107 bytes at most on Linux."""
    place = folder / "valkey.sock"
    if len(str(place)) < LONGEST_SOCKET:
        return place
    short = sha256(str(folder).encode()).hexdigest()[:16]
    return Path("/tmp") / f"firsthand-{short}" / place.name  # noqa: S108 - made 0700, and ours


class _Environment(Env):
    """Reads a variable, or the file that is named in its place; an empty variable is unset."""

    def _get_value(self, env_key: str, default: Any) -> Any:
        value, file = os.environ.get(env_key), os.environ.get(f"{env_key}_FILE")
        if not file:
            return value or default  # compose passes unset ones on as empty
        if value:
            raise SettingsError(f"{env_key}: {env_key}_FILE is set as well; set one of the two")
        try:
            if secret := Path(file).read_text().strip():
                return secret
        except (OSError, ValueError) as fault:
            why = getattr(fault, "strerror", None) or "not a text"
            raise SettingsError(f"{env_key}_FILE: {file}: {why}") from None
        raise SettingsError(f"{env_key}_FILE: {file} is empty")  # a secret that nobody wrote


def _read(env: Env, each: Field[Any]) -> Any:
    options = dict(each.metadata)
    del options["meaning"]
    return getattr(env, options.pop("kind"))(each.name.upper(), options.pop("default"), **options)


def variables(*kinds: type[Settings]) -> list[tuple[str, str, str, str]]:
    """Rows (variable, default, meaning, who reads it) of the reference page."""
    rows: dict[str, tuple[str, str, str, str]] = {}
    for kind in kinds:
        for each in fields(kind):
            name, told = PREFIX + each.name.upper(), each.metadata
            readers = f"{rows[name][3]}, {kind.__name__}" if name in rows else kind.__name__
            rows[name] = (
                name,
                "" if told["default"] is None else str(told["default"]),
                told["meaning"],
                readers,
            )
    return sorted(rows.values())
