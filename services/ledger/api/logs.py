"""Log API: checkpoints, keys and tiles below /logs/<n>/, as in C2SP tlog-tiles.

Checkpoint, hash tiles and keys are public: they reveal only that something was recorded, and
receipts cannot be verified without them. Entry bundles contain in clear who wrote about whom and
when: they require the scope `log` in the token of an auditor or operator.
"""

from dataclasses import dataclass, field

from flask import Blueprint, Response, request

from services.ledger.api.caller_limits import CallerLimits
from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.log.tiles import ENTRIES, Tile
from services.ledger.store.tile_store import tile_bytes
from shared.auth.tokens import Callers
from shared.errors import Forbidden, NotFound
from shared.http.app import require_caller

FOR_EVER = "max-age=31536000, immutable"
READERS = ("auditor", "operator")


@dataclass(frozen=True, slots=True)
class LogsApi:
    """Routes of the logs, and their dependencies."""

    watermark: PublishedView
    callers: Callers
    shares: CallerLimits = field(default_factory=CallerLimits)

    def routes(self) -> Blueprint:
        """Return the routes, all below /logs/<n>."""
        logs = Blueprint("logs", __name__, url_prefix="/logs/<n>")
        logs.add_url_rule("/checkpoint", view_func=self.checkpoint)
        logs.add_url_rule("/vkey", view_func=self.vkey)
        logs.add_url_rule("/tile/<path:tile>", view_func=self.tile)
        return logs

    def checkpoint(self, n: str) -> Response:
        """Return the last published checkpoint; with witnesses, the last one with a quorum."""
        log = self._log(n)
        with self.shares.log():
            response = _text(self.watermark.checkpoint(log))
        response.add_etag()
        response.make_conditional(request)
        return response

    def vkey(self, n: str) -> Response:
        """Return the keys that signed this log's checkpoints, newest first, one per line."""
        return _text("".join(f"{vkey}\n" for vkey in self.watermark.vkeys[self._log(n)]))

    def tile(self, n: str, tile: str) -> Response:
        """Return a hash tile or an entry bundle; 404 if the path is invalid or beyond the
        checkpoint.
        """
        log = self._log(n)
        try:
            requested = Tile.parse(f"tile/{tile}")
        except ValueError:
            raise NotFound from None
        if requested.level == ENTRIES:
            self._only_readers()
        with self.shares.log(), self.watermark.reading(log) as (connection, published):
            if not requested.within(published.size):
                raise NotFound
            stored = tile_bytes(connection, log, requested)
        response = Response(stored, content_type="application/octet-stream")
        visibility = "private" if requested.level == ENTRIES else "public"
        response.headers["Cache-Control"] = f"{visibility}, {FOR_EVER}"
        return response

    def _log(self, n: str) -> int:
        """Return the log of a path, which has no leading zeros."""
        if n not in map(str, range(len(self.watermark.vkeys))):
            raise NotFound
        return int(n)

    def _only_readers(self) -> None:
        if require_caller(self.callers, "log").role not in READERS:
            raise Forbidden("Entries require a token of an auditor or operator.")


def _text(body: str) -> Response:
    response = Response(body, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response
