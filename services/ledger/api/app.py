"""Application factory of the ledger's read API."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path

from flask import Response

from services.ledger.api.caller_limits import CallerLimits
from services.ledger.api.logs import LogsApi
from services.ledger.api.metrics import StoreCollector
from services.ledger.api.people import PeopleApi
from services.ledger.api.readiness import Readiness
from services.ledger.bootstrap import open_store
from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.checkpoints.witnesses import Policy
from services.ledger.config import LedgerSettings, utc_now, verifier_keys
from services.ledger.presentation.sentences import DisplayNames, read_names
from services.ledger.store.database import Engine, StoreError
from services.ledger.vault import KeyUnwrapError, Vault
from shared import log_setup
from shared.auth.tokens import Callers
from shared.errors import DecryptionError, Unavailable
from shared.events.event import Json
from shared.http.app import Service, describe, install, problem_response
from shared.http.metrics import CollectorRegistry
from shared.http.openapi import load
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.servers import RedisServers
from shared.process import die_with_parent, tune_gc

QUEUE_TIMEOUT = 0.5  # seconds; without the queue, archived checkpoints are served


@cache
def document() -> Json:
    """Return the OpenAPI document of the ledger. It is built at the first call."""
    return load(Path(__file__).with_name("openapi.yaml"), {})


def create_app(
    engine: Engine,
    vault: Vault,
    callers: Callers,
    names: DisplayNames,
    watermark: PublishedView,
    *,
    clock: Callable[[], datetime] = utc_now,
    shares: CallerLimits | None = None,
) -> Service:
    """Create the Flask application from its dependencies."""
    shares = shares or CallerLimits()
    app = Service("ledger", static_folder=None)
    app.url_map.merge_slashes = False  # tile paths are exact: no redirects
    people = PeopleApi(engine, vault, callers, names, watermark, clock, shares=shares)
    app.register_blueprint(people.routes())
    app.register_blueprint(LogsApi(watermark, callers, shares).routes())

    registry = CollectorRegistry()
    registry.register(StoreCollector(engine))
    readiness = Readiness(engine, watermark)
    install(app, "ledger", readiness.why, registry, details=readiness.recording)
    describe(app, document)
    for error in (StoreError, KeyUnwrapError, DecryptionError):
        app.register_error_handler(error, _unavailable)
    return app


def _unavailable(fault: Exception) -> Response:
    return problem_response(
        Unavailable(f"The ledger is currently unavailable ({type(fault).__name__}).")
    )


def build_dependencies(
    settings: LedgerSettings,
) -> tuple[Engine, Vault, Callers, DisplayNames, PublishedView]:
    """Open what the read API needs. Raises SettingsError or PreconditionFailed."""
    callers = Callers.from_folder(settings.key_folder, settings.audience)
    names, vkeys = read_names(settings.names), verifier_keys(settings)
    published = PublishedCheckpoints(
        RedisServers.connect(settings.queue_urls, timeout=QUEUE_TIMEOUT)
    )
    policy = Policy.from_folder(settings.key_folder)
    engine, vault = open_store(settings, write=False)
    return engine, vault, callers, names, PublishedView(engine, published, vkeys, policy)


def check() -> None:
    """Check that the application can start. Raises SettingsError or PreconditionFailed if not."""
    engine, *_ = build_dependencies(LedgerSettings.load())
    engine.dispose()  # the server forks, and connections must not be shared


def from_environment() -> Service:
    """Create the application from the environment; the HTTP server calls this."""
    die_with_parent()
    settings = LedgerSettings.load()
    log_setup.configure(settings.log_level)
    tune_gc()
    shares = CallerLimits(settings.read_limit / 1000, settings.read_burst / 1000)
    return create_app(*build_dependencies(settings), shares=shares)
