"""Where an issuer's keys come from: a file, an address; and who acts for somebody."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.auth.issuers import MAX_JWKS_BYTES, JwksCache, fetch, issuers
from shared.auth.tokens import Callers, local_token, make_local_issuer
from shared.errors import SettingsError, Unauthorized, Unavailable
from tests.given import ADA
from tests.tokens import CLAIMS, ISS, NEW, OURS, Clock, callers, jwks, kids, token

# A file.


def test_a_file_that_changes_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "tokens.jwks", Clock()
    path.write_bytes(jwks(OURS))
    keys = JwksCache("near", path.read_bytes, clock=clock)
    assert kids(keys) == ["ours"]
    path.write_bytes(jwks(NEW))
    clock.now += 1
    assert kids(keys) == ["new"]
    path.write_bytes(b'{"keys": [')  # half of it is written
    clock.now += 1
    assert kids(keys) == ["new"]
    path.write_bytes(jwks(OURS, NEW))
    assert [key.kid for key in keys.with_key("ours").keys] == ["ours", "new"]


def test_a_file_is_read_before_the_first_token_so_that_many_at_once_are_served(
    tmp_path: Path,
) -> None:
    make_local_issuer(tmp_path)
    ours, bearer = Callers.from_folder(tmp_path, "firsthand"), local_token(tmp_path, ADA)
    (tmp_path / "tokens.jwks").unlink()
    assert ours.of(f"Bearer {bearer}").subject == ADA


def test_a_machine_takes_its_new_key_up_by_itself(tmp_path: Path) -> None:
    make_local_issuer(tmp_path)
    ours = Callers.from_folder(tmp_path, "firsthand")
    ours.of(f"Bearer {local_token(tmp_path, ADA)}")
    for name in ("tokens.key", "tokens.jwks"):
        (tmp_path / name).unlink()
    make_local_issuer(tmp_path)
    assert ours.of(f"Bearer {local_token(tmp_path, ADA)}").subject == ADA


# An address, over HTTP.


@contextmanager
def serving(**pages: tuple[int, dict[str, str], bytes]) -> Iterator[str]:
    """A server of pages by name: status, headers, body; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer."""
            status, headers, body = pages[self.path.strip("/")]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_address_is_read_and_never_followed_elsewhere() -> None:
    large = b" " * (MAX_JWKS_BYTES + 1)
    with serving(
        jwks=(200, {}, jwks(OURS)),
        large=(200, {}, large),
        moved=(302, {"Location": "/jwks"}, b""),
        gone=(404, {}, jwks(OURS)),
    ) as at:
        assert fetch(f"{at}/jwks") == jwks(OURS)
        for page, why in (("large", "65536 bytes"), ("moved", "302"), ("gone", "404")):
            with pytest.raises(OSError, match=why):
                fetch(f"{at}/{page}")
    with pytest.raises(OSError, match="refused"):
        fetch(f"{at}/jwks")


def told(folder: Path, **changed: Any) -> None:
    """Write an issuer with an address."""
    issuer = {"name": "far", "iss": ISS, "roles": ["person"], "subjects": "person:.*", **changed}
    (folder / "issuers.json").write_text(json.dumps([issuer]))


def test_a_service_starts_and_works_whether_its_issuer_answers_or_not(tmp_path: Path) -> None:
    with serving(jwks=(200, {}, jwks(OURS))) as at:
        told(tmp_path, jwks_url=f"{at}/jwks")
        ours = Callers(issuers(tmp_path), "firsthand", Clock())
        assert ours.of(f"Bearer {token(CLAIMS)}").subject == ADA
    ours = Callers(issuers(tmp_path), "firsthand", Clock())
    with pytest.raises(Unavailable, match="not at hand"):
        ours.of(f"Bearer {token(CLAIMS)}")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"jwks_url": ""},
        {"jwks_url": "file:///etc/passwd"},
        {"jwks_url": "ftp://far.example/jwks"},
        {"jwks_url": "https:///jwks"},
        {"jwks_url": "https://me:secret@far.example/jwks"},
        {"jwks_url": 7},
        {"jwks_url": "https://far.example/jwks", "jwks": "tokens.jwks"},
    ],
    ids=str,
)
def test_an_address_that_is_none_stops_us(tmp_path: Path, changed: dict[str, Any]) -> None:
    make_local_issuer(tmp_path)
    told(tmp_path, **changed)
    with pytest.raises(SettingsError, match=r"issuers\.json"):
        issuers(tmp_path)


@pytest.mark.parametrize("same", ["name", "iss"])
def test_two_issuers_are_not_one(tmp_path: Path, same: str) -> None:
    make_local_issuer(tmp_path)
    (local,) = json.loads((tmp_path / "issuers.json").read_text())
    other = {**local, "name": "other", "iss": "urn:other", same: local[same]}
    (tmp_path / "issuers.json").write_text(json.dumps([local, other]))
    with pytest.raises(SettingsError, match="same name or iss"):
        issuers(tmp_path)


# Who acts for somebody.


def test_a_service_that_acts_shares_and_leaves_only_where_that_is_named(tmp_path: Path) -> None:
    make_local_issuer(tmp_path)
    ours = Callers.from_folder(tmp_path, "firsthand")
    acting = ours.of(f"Bearer {local_token(tmp_path, ADA, act='service:diary')}")
    assert (acting.subject, acting.via) == (ADA, "service:diary")
    assert acting.scopes == {"read", "write"}
    named = local_token(tmp_path, ADA, act="service:diary", scopes=["share", "leave"])
    assert ours.of(f"Bearer {named}").scopes == {"share", "leave"}


@pytest.mark.parametrize("act", ["service:diary", [], None, {}, {"sub": None}, {"sub": "diary"}, 7])
def test_who_acts_is_named_by_an_id(act: object) -> None:
    with pytest.raises(Unauthorized, match="client_id or act"):
        callers().of(f"Bearer {token({**CLAIMS, 'act': act})}")


def test_of_a_chain_of_actors_the_last_one_counts() -> None:
    act = {"sub": "service:diary", "act": {"sub": "service:portal"}}  # RFC 8693, section 4.1
    assert callers().of(f"Bearer {token({**CLAIMS, 'act': act})}").via == "service:diary"
