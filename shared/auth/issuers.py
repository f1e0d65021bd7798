"""Issuers: whose tokens we take, what they may say, and the keys that prove it.

Who we trust stands in `issuers.json` in the key folder, a list of

    {"name": "local", "iss": "...", "jwks": "tokens.jwks",
     "roles": ["person", ...], "subjects": "regular expression of the whole sub"}

The keys are a JWKS (RFC 7517): `jwks` names a file beside it, or `jwks_url` an https or http
address. Those count that have an `alg` of Ed25519, EdDSA or ES256; others are passed over.

A file is read again every second, an address every five minutes in the background, and at most
once in 30 seconds when a token names a key that we do not hold. So new keys are taken up, and
withdrawn ones dropped together with the tokens they signed, without a restart. If a set cannot be
read, or holds no key that we take, the keys of before stay in use for 24 hours, and a warning is
logged at every attempt. Without keys, or when a key is named that may be new while the issuer is
silent, the answer is 503: nobody has to throw a good token away. An address has 3 seconds to
answer, with at most 64 KiB, and is never followed elsewhere.
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
KEEP_SECONDS = 24 * 3600.0  # that keys are used which can not be read again
FILE_SECONDS, URL_SECONDS = 1.0, 300.0  # between two looks
AGAIN_SECONDS = 30.0  # between two questions to an address for a key that we do not hold
PATIENCE = 3.0  # seconds; of an address, and of the one request that waits for it
MAX_JWKS_BYTES = 64 * 1024
_WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError)
log_line = structlog.get_logger()


class JwksCache:
    """The keys of one issuer: refreshed in time, and used for a day while that fails.

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
    """Somebody whose tokens we take, and for which roles and subjects."""

    name: str
    keys: JwksCache
    roles: frozenset[str]
    subjects: re.Pattern[str]


def issuers(folder: Path) -> dict[str, Issuer]:
    """Read `issuers.json` and the key sets beside it, by `iss`.

    SettingsError names the file that is wrong. An address is not asked before a token needs it.
    """
    path = folder / "issuers.json"
    try:
        listed = json.loads(path.read_text())
        if not isinstance(listed, list) or not listed:
            raise TypeError("a list of at least one issuer is wanted")
        found = {each["iss"]: _issuer(folder, each) for each in listed}
        if len({each.name for each in found.values()}) < len(listed):
            raise ValueError("two issuers have the same name or iss")
    except (*_WRONG, re.error) as fault:
        raise SettingsError(
            f"{path}: {type(fault).__name__}: {fault}. Run 'firsthand init' to make one."
        ) from None
    return found


def _issuer(folder: Path, told: dict[str, Any]) -> Issuer:
    name = str(told["name"])
    if not set(told["roles"]) <= set(ROLES):
        raise ValueError(f"roles of {name} are not all known")
    if ("jwks" in told) == ("jwks_url" in told):
        raise ValueError(f"{name} wants either jwks, a file, or jwks_url, an address")
    keys = _at(name, told["jwks_url"]) if "jwks_url" in told else _in(name, folder / told["jwks"])
    return Issuer(name, keys, frozenset(told["roles"]), re.compile(told["subjects"]))


def _in(name: str, path: Path) -> JwksCache:
    key_set(path.read_bytes())  # a folder that is wrong at the start stops the start
    keys = JwksCache(name, path.read_bytes)
    keys.current()  # read now: of many first requests at once only one would read them
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


def key_set(told: bytes) -> KeySet:
    """The keys of a JWKS that we take; ValueError if there are none."""
    listed = [
        each
        for each in json.loads(told)["keys"]
        if each.get("alg") in ALGORITHMS and each.get("kty") in ("OKP", "EC")
    ]
    if not listed:
        raise ValueError(f"no key has an alg of {', '.join(ALGORITHMS)}")
    return KeySet.import_key_set({"keys": listed})


def fetch(url: str) -> bytes:
    """Return what an address answers; OSError if it does not, or not as the rules above say."""
    status, content = request(url, seconds=PATIENCE, limit=MAX_JWKS_BYTES)
    if status != 200:
        raise OSError(f"status {status}")
    return content
