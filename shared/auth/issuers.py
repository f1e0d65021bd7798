"""Issuers: the token issuers that are trusted, for which roles and subjects, and their keys.

`issuers.json` in the key folder lists them:

    {"name": "local", "iss": "...", "jwks": "tokens.jwks",
     "roles": ["person", ...], "subjects": "regular expression of the whole sub"}

The keys are a JWKS (RFC 7517): `jwks` names a file beside it, or `jwks_url` an https or http URL.
Keys with an `alg` of Ed25519, EdDSA or ES256 are used; others are ignored.

A file is read again every second, a URL every five minutes in the background, and at most once in
30 seconds if a token names an unknown key. New keys are used, and withdrawn keys rejected with the
tokens they signed, without a restart. If a set cannot be read, or has no usable key, the former
keys are used for 24 hours, and every attempt logs a warning. Without keys, or if a token names an
unknown key while the issuer is unavailable, the response is 503, so that callers keep a valid
token. A URL must respond within 3 seconds, with at most 64 KiB; redirects are not followed.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shared.bounded_http import request
from shared.errors import SettingsError, Unavailable

ALGORITHMS = ("Ed25519", "EdDSA", "ES256")  # EdDSA: the older name, which issuers still send
ROLES = ("person", "partner", "service", "auditor", "operator")
KEEP_SECONDS = 24 * 3600.0  # for which keys are used that cannot be refreshed
FILE_SECONDS, URL_SECONDS = 1.0, 300.0  # between two refreshes
AGAIN_SECONDS = 30.0  # between two requests to a URL for an unknown key
PATIENCE = 3.0  # seconds; for a URL, and for the one request that waits for it
MAX_JWKS_BYTES = 64 * 1024
_WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError)
log_line = structlog.get_logger()


class JwksCache:
    """Cache of one issuer's keys: refreshed in time, and used for a day while that fails.

    `read` returns the bytes of the JWKS; `start` runs a refresh, inline or in a thread. One refresh
    runs at a time, and at most one request waits for it.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], bytes],
        *,
        every: float = FILE_SECONDS,
        again: float = 0.0,
        start: Callable[[Callable[[], None]], object] = lambda refresh: refresh(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._read, self._start, self._clock = name, read, start, clock
        self._every, self._again = every, again
        self._refreshing = threading.Lock()
        self._body, self._keys = b"", KeySet([])
        self._error = "they were not read yet"
        self._read_at = self._tried_at = self._due_at = float("-inf")

    def current(self) -> KeySet:
        """Return the keys: the same object until they change. Unavailable if there are none."""
        if self._clock() >= self._due_at:
            self._refresh(wait=not self._is_usable())
        if not self._is_usable():
            raise self._unavailable()
        return self._keys

    def at_hand(self) -> KeySet | None:
        """Return the keys, or None if it is time for a refresh."""
        return self._keys if self._clock() < self._due_at and self._is_usable() else None

    def with_key(self, kid: str) -> KeySet:
        """Return the keys, after a refresh if none has this id and the last one is long enough ago.

        Unavailable if the refresh has not finished or has failed: the key may be a new one.
        """
        if any(key.kid == kid for key in self.current().keys):
            return self._keys
        if self._clock() - self._tried_at >= self._again:
            self._refresh(wait=True)
        if self._refreshing.locked() or self._error:
            raise self._unavailable()
        return self._keys

    def _is_usable(self) -> bool:
        return self._clock() - self._read_at < KEEP_SECONDS

    def _unavailable(self) -> Unavailable:
        why = self._error or "they are just being read"
        return Unavailable(f"The keys of the issuer '{self._name}' are not at hand: {why}.")

    def _refresh(self, *, wait: bool) -> None:
        """Start a refresh unless one is running, and `wait` a moment until it has finished."""
        if self._refreshing.acquire(blocking=False):
            self._tried_at, finished = self._clock(), threading.Event()
            self._start(lambda: self._load(finished))
            if wait:
                finished.wait(PATIENCE)

    def _load(self, finished: threading.Event) -> None:
        try:
            body = self._read()
            if body != self._body:
                self._keys, self._body = key_set(body), body
                kids = [key.kid for key in self._keys.keys]
                log_line.info("issuer-keys", issuer=self._name, kids=kids)
            self._error, self._read_at = "", self._clock()
        except _WRONG as fault:
            self._error = f"{type(fault).__name__}: {fault}"
            log_line.warning("issuer-keys-not-renewed", issuer=self._name, why=self._error)
        finally:
            self._due_at = self._clock() + min(
                self._every, AGAIN_SECONDS if self._error else self._every
            )
            self._refreshing.release()
            finished.set()


@dataclass(frozen=True, slots=True)
class Issuer:
    """A trusted issuer: its keys, and the roles and subjects of its tokens."""

    name: str
    keys: JwksCache
    roles: frozenset[str]
    subjects: re.Pattern[str]


def issuers(folder: Path) -> dict[str, Issuer]:
    """Read `issuers.json` and the key sets beside it, by `iss`.

    Raises SettingsError with the path if it is invalid. A URL is not requested before a token needs
    it.
    """
    path = folder / "issuers.json"
    try:
        listed = json.loads(path.read_text())
        if not isinstance(listed, list) or not listed:
            raise TypeError("a list of at least one issuer is wanted")
        trusted = {members["iss"]: _issuer(folder, members) for members in listed}
        if len({issuer.name for issuer in trusted.values()}) < len(listed):
            raise ValueError("two issuers have the same name or iss")
    except (*_WRONG, re.error) as fault:
        raise SettingsError(
            f"{path}: {type(fault).__name__}: {fault}. Run 'firsthand init' to make one."
        ) from None
    return trusted


def _issuer(folder: Path, members: dict[str, Any]) -> Issuer:
    name = str(members["name"])
    if not set(members["roles"]) <= set(ROLES):
        raise ValueError(f"roles of {name} are not all known")
    if ("jwks" in members) == ("jwks_url" in members):
        raise ValueError(f"{name} wants either jwks, a file, or jwks_url, an address")
    keys = (
        _at(name, members["jwks_url"])
        if "jwks_url" in members
        else _in(name, folder / members["jwks"])
    )
    return Issuer(name, keys, frozenset(members["roles"]), re.compile(members["subjects"]))


def _in(name: str, path: Path) -> JwksCache:
    key_set(path.read_bytes())  # an invalid file stops the start
    keys = JwksCache(name, path.read_bytes)
    keys.current()  # read now: of many concurrent first requests only one would read them
    return keys


def _at(name: str, url: str) -> JwksCache:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"jwks_url of {name} is no https or http address")
    return JwksCache(
        name,
        lambda: fetch(url),
        every=URL_SECONDS,
        again=AGAIN_SECONDS,
        start=lambda renew: threading.Thread(target=renew, daemon=True).start(),
    )


def key_set(body: bytes) -> KeySet:
    """Return the usable keys of a JWKS; raise ValueError if there are none."""
    listed = [
        key
        for key in json.loads(body)["keys"]
        if key.get("alg") in ALGORITHMS and key.get("kty") in ("OKP", "EC")
    ]
    if not listed:
        raise ValueError(f"no key has an alg of {', '.join(ALGORITHMS)}")
    return KeySet.import_key_set({"keys": listed})


def fetch(url: str) -> bytes:
    """Return the body of a URL's response; raise OSError if there is none, or it breaks a limit."""
    status, content = request(url, seconds=PATIENCE, limit=MAX_JWKS_BYTES)
    if status != 200:
        raise OSError(f"status {status}")
    return content
