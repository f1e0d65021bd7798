"""The frozen tokens: one for each role."""

import re

import pytest

from shared.auth.issuers import ROLES, Issuer, JwksCache
from shared.auth.tokens import Caller, Callers
from shared.errors import Unauthorized
from shared.events.schema_fields import ID_PATTERN
from tests.golden.make import HERE, ISSUED


def golden(path: str) -> bytes:
    """A golden file's bytes."""
    return (HERE / path).read_bytes()


def callers(now: float) -> Callers:
    """Who trusts the golden issuer, at that moment."""
    keys = JwksCache("golden", lambda: golden("token/tokens.jwks"))
    issuer = Issuer("golden", keys, frozenset(ROLES), re.compile(ID_PATTERN))
    return Callers({"urn:firsthand:golden": issuer}, "firsthand", lambda: now)


@pytest.mark.parametrize("role", ROLES)
def test_a_golden_token_names_its_caller_while_it_lasts(role: str) -> None:
    header = f"Bearer {golden(f'token/{role}.jwt').decode()}"
    caller = callers(ISSUED + 60).of(header)
    via, ends = "service:notebook", float(ISSUED + 3600)
    assert caller == Caller(
        f"{role}:ada", via, "golden", frozenset(("read", "write", "share")), ends
    )
    assert caller.role == role
    for late in (ISSUED + 3600, ISSUED - 61):
        with pytest.raises(Unauthorized):
            callers(late).of(header)
