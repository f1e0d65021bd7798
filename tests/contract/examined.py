"""A ledger, examined by the doctor."""

from dataclasses import replace

import pytest

from services.operations.doctor import checks
from services.operations.doctor.checks import Result
from services.operations.doctor.context import DoctorContext
from tests.contract.ledgers import Ledger

SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def examined(ledger: Ledger, **otherwise: object) -> dict[str, Result]:
    """Every result by its check."""
    ground = replace(DoctorContext(ledger.settings), **otherwise)  # type: ignore[arg-type]  # its own fields
    return {each.check: each for each in checks.examine(ground)}


def named(ledger: Ledger, check: str, state: str, why: str, remedy: str, **ground: object) -> None:
    """That check, and none that does not stand on it, says what is wrong and what to do."""
    found = examined(ledger, **ground)
    result = found[check]
    assert (result.state, why in result.detail) == (state, True), result
    assert remedy in result.remedy, result
    bad = [each for each in found.values() if each.state == "error" and each.check != check]
    assert not bad, bad
