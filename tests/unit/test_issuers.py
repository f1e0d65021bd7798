"""Who we trust: the key folder, and the tokens of this machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OctKey, OKPKey

from shared.auth.tokens import LOCAL_ISS, Callers, local_token, make_local_issuer
from shared.errors import SettingsError, Unauthorized
from tests.given import ADA, SAM


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A key folder as `init` makes it."""
    make_local_issuer(tmp_path)
    return tmp_path


def rewrite(folder: Path, **changed: Any) -> None:
    """Change the one issuer of a folder."""
    path = folder / "issuers.json"
    (issuer,) = json.loads(path.read_text())
    path.write_text(json.dumps([issuer | changed]))


@pytest.mark.parametrize("subject", [ADA, SAM, "service:shoes", "auditor:ann", "operator:oz"])
def test_this_machine_vouches_for_every_role(folder: Path, subject: str) -> None:
    caller = Callers.from_folder(folder, "firsthand").of(f"Bearer {local_token(folder, subject)}")
    assert (caller.subject, caller.issuer, caller.via) == (subject, "local", "service:command")
    assert caller.scopes == {"read", "write", "share", "leave", "log"}


def test_the_private_key_is_its_owners_alone(folder: Path) -> None:
    assert (folder / "tokens.key").stat().st_mode & 0o777 == 0o600
    assert "d" in json.loads((folder / "tokens.key").read_text())
    (public,) = json.loads((folder / "tokens.jwks").read_text())["keys"]
    assert "d" not in public
    assert public["kid"] == OKPKey.import_key(public).thumbprint()


def test_tokens_of_another_machine_are_not_ours(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    make_local_issuer(tmp_path / "other")
    with pytest.raises(Unauthorized, match="its signature is invalid"):
        Callers.from_folder(folder, "firsthand").of(
            f"Bearer {local_token(tmp_path / 'other', ADA)}"
        )


@pytest.mark.parametrize(
    "given",
    [{"audience": "other"}, {"role": "partner"}, {"ttl": -1}, {"ttl": 90_000}, {"client": "x"}],
)
def test_a_local_token_is_held_to_the_same_rules(folder: Path, given: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        Callers.from_folder(folder, "firsthand").of(f"Bearer {local_token(folder, ADA, **given)}")


def test_a_local_token_says_only_the_scopes_asked_for(folder: Path) -> None:
    token = local_token(folder, ADA, scopes=["read"])
    assert Callers.from_folder(folder, "firsthand").of(f"Bearer {token}").scopes == {"read"}


def test_without_a_key_there_is_no_token(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="firsthand init"):
        local_token(tmp_path, ADA)


@pytest.mark.parametrize("name", ["issuers.json", "tokens.jwks"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"7", b"null", b"[7]", b"\xff", b'[{"a":1}]'])
def test_a_folder_that_says_not_whom_to_trust_stops_us(
    folder: Path, name: str, content: bytes | None
) -> None:
    path = folder / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="firsthand init"):
        Callers.from_folder(folder, "firsthand")


@pytest.mark.parametrize(
    "changed",
    [
        {"roles": ["king"]},
        {"roles": None},
        {"subjects": "(("},
        {"subjects": None},
        {"jwks": "nowhere.jwks"},
        {"jwks": None},
    ],
    ids=str,
)
def test_an_issuer_that_is_wrongly_told_stops_us(folder: Path, changed: dict[str, Any]) -> None:
    rewrite(folder, **changed)
    with pytest.raises(SettingsError, match=r"issuers\.json"):
        Callers.from_folder(folder, "firsthand")


@pytest.mark.parametrize("alg", ["HS256", "none", "RS256", None])
def test_a_key_without_an_algorithm_that_we_take_stops_us(folder: Path, alg: str | None) -> None:
    path = folder / "tokens.jwks"
    (key,) = json.loads(path.read_text())["keys"]
    told = {name: value for name, value in (key | {"alg": alg}).items() if value is not None}
    path.write_text(json.dumps({"keys": [told]}))
    with pytest.raises(SettingsError, match="alg"):
        Callers.from_folder(folder, "firsthand")


def test_an_issuer_pinned_to_its_people_speaks_of_nobody_else(folder: Path) -> None:
    rewrite(folder, subjects="person:ada", roles=["person"])
    ours = Callers.from_folder(folder, "firsthand")
    assert ours.of(f"Bearer {local_token(folder, ADA)}").subject == ADA
    for subject in (SAM, "person:ada2", "person:eve"):
        with pytest.raises(Unauthorized, match="may not issue tokens"):
            ours.of(f"Bearer {local_token(folder, subject)}")


def test_a_local_issuer_has_a_name_of_its_own(folder: Path) -> None:
    (issuer,) = json.loads((folder / "issuers.json").read_text())
    assert (issuer["name"], issuer["iss"]) == ("local", LOCAL_ISS)


@pytest.mark.parametrize("content", ["{}", "[]"])
def test_a_folder_that_trusts_nobody_stops_us(folder: Path, content: str) -> None:
    (folder / "issuers.json").write_text(content)
    with pytest.raises(SettingsError):
        Callers.from_folder(folder, "firsthand")


def test_a_shared_secret_is_no_key_of_an_issuer(folder: Path) -> None:
    secret = OctKey.generate_key(256, parameters={"alg": "ES256", "kid": "s"})
    (folder / "tokens.jwks").write_text(json.dumps({"keys": [secret.as_dict(private=True)]}))
    token = local_token(folder, ADA)
    with pytest.raises((SettingsError, Unauthorized)):
        Callers.from_folder(folder, "firsthand").of(f"Bearer {token}")
