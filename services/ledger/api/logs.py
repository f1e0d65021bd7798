"""The logs as C2SP tlog-tiles serves them, below /logs/<n>/: any reader of such logs can check us.

Checkpoint, tiles of hashes and keys are for everybody: they tell nothing but that something was
recorded, and a receipt could not be checked without them. Bundles of entries name, in clear, who
spoke about whom and when: they need the scope `log` in the token of an auditor or operator.
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
    """The routes of the logs, over their neighbours."""

    watermark: PublishedView
    callers: Callers
    shares: CallerLimits = field(default_factory=CallerLimits)

    def routes(self) -> Blueprint:
        """The routes, each below /logs/<n>."""
        logs = Blueprint("logs", __name__, url_prefix="/logs/<n>")
        logs.add_url_rule("/checkpoint", view_func=self.checkpoint)
        logs.add_url_rule("/vkey", view_func=self.vkey)
        logs.add_url_rule("/tile/<path:tile>", view_func=self.tile)
        return logs

    def checkpoint(self, n: str) -> Response:
        """The last published checkpoint; where there are witnesses, the last one with quorum."""
        log = self._log(n)
        with self.shares.log():
            response = _text(self.watermark.checkpoint(log))
        response.add_etag()
        response.make_conditional(request)
        return response

    def vkey(self, n: str) -> Response:
        """The keys that signed this log's checkpoints, newest first, a line each."""
        return _text("".join(f"{each}\n" for each in self.watermark.vkeys[self._log(n)]))

    def tile(self, n: str, tile: str) -> Response:
        """A tile of hashes, or a bundle of entries; a path that is none, or not yet, is a 404."""
        log = self._log(n)
        try:
            wanted = Tile.parse(f"tile/{tile}")
        except ValueError:
            raise NotFound from None
        if wanted.level == ENTRIES:
            self._only_readers()
        with self.shares.log(), self.watermark.reading(log) as (connection, published):
            if not wanted.within(published.size):
                raise NotFound
            stored = tile_bytes(connection, log, wanted)
        response = Response(stored, content_type="application/octet-stream")
        whose = "private" if wanted.level == ENTRIES else "public"
        response.headers["Cache-Control"] = f"{whose}, {FOR_EVER}"
        return response

    def _log(self, n: str) -> int:
        """The log of a path, written without leading zeros."""
        if n not in map(str, range(len(self.watermark.vkeys))):
            raise NotFound
        return int(n)

    def _only_readers(self) -> None:
        if require_caller(self.callers, "log").role not in READERS:
            raise Forbidden("Entries are for an auditor's or operator's token.")


def _text(body: str) -> Response:
    response = Response(body, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response
