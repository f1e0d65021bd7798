"""docker-compose.yml as an engine sees it: anchors merged, variables filled in, names resolved."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$(?:\$|\{(\w+):-([^}]*)\})")
SECONDS = {"s": 1, "m": 60}

Service = dict[str, Any]


def project(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The whole file; `environment` is that of whoever types `docker compose`."""
    told = environment or {}

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(each) for key, each in value.items()}
        if isinstance(value, list):
            return [fill(each) for each in value]
        if isinstance(value, str):
            return VARIABLE.sub(lambda met: (told.get(met[1]) or met[2]) if met[1] else "$", value)
        return value

    return dict(fill(yaml.safe_load(FILE.read_text())))


def seconds(told: str) -> float:
    """A duration, as `30s`."""
    return float(told[:-1]) * SECONDS[told[-1]]


def order(services: Mapping[str, Service]) -> list[str]:
    """Every service after those it depends on; ValueError if they wait for each other."""
    done: list[str] = []

    def visit(name: str, below: tuple[str, ...]) -> None:
        if name in below:
            raise ValueError(f"{' -> '.join((*below, name))} wait for each other")
        for each in services[name].get("depends_on", {}):
            visit(each, (*below, name))
        if name not in done:
            done.append(name)

    for name in services:
        visit(name, ())
    return done


def mounts(service: Service) -> list[tuple[str, str, bool]]:
    """(volume, place, read-only?) of each volume of a service."""
    found = []
    for each in service.get("volumes", []):
        volume, place, *options = each.split(":")
        found.append((volume, place, options == ["ro"]))
    return found
