"""The lock files: exact, hashed, in step with each other and with pyproject.toml."""

import re
import tomllib

import pytest

from tests.house.files import ROOT

LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-crosschecks.lock"]
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==([^ ;\\]+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / lock).read_text()))


def wanted(requirement: object) -> set[str]:
    """The name in a requirement, as a lock writes it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement) if isinstance(requirement, str) else None
    return {re.sub(r"[._-]+", "-", name[0]).lower()} if name else set()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    bare = [block.split()[0] for block in blocks if "--hash=sha256:" not in block]
    assert len(blocks) == len(pins(lock))
    assert not bare, f"{lock}: {bare} without a hash; make lock"


def test_tests_run_on_the_versions_that_the_services_run_on() -> None:
    runtime, dev = (pins(lock) for lock in LOCKS[:2])
    assert runtime.items() <= dev.items(), "the two locks differ; make lock"


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    runtime = set().union(*map(wanted, project["project"]["dependencies"] + groups["build"]))
    dev = runtime.union(*map(wanted, groups["dev"]))
    assert runtime <= pins(LOCKS[0]).keys(), "requirements.lock is behind pyproject.toml; make lock"
    assert dev <= pins(LOCKS[1]).keys(), "requirements-dev.lock is behind pyproject.toml; make lock"
