"""Intake application: its settings, its dependencies, and the Flask app factory."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from marshmallow import validate

from services.intake.openapi import document
from services.intake.routes import MAX_WAIT, Intake, PostedBodies
from shared import log_setup
from shared.auth.tokens import Callers
from shared.crypto.transit import Transit
from shared.http.app import Service, describe, install
from shared.http.metrics import CollectorRegistry, QueueCollector
from shared.inbox import doorbell
from shared.inbox.inbox import Inbox
from shared.inbox.partition_layout import check_layout
from shared.inbox.publish_script import Limits
from shared.inbox.queue_status import QueueStatus
from shared.inbox.servers import RedisServers, connect
from shared.process import die_with_parent, tune_gc
from shared.settings import Settings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings(Settings):
    """The settings of intake. Intake has no access to the database."""

    threads: int = setting(
        "int", 32, "Threads that answer requests", validate=validate.Range(min=2, max=64)
    )
    caller_limit: int = setting(
        "int",
        1_000,
        "Events a second that one caller may post in a partition; 0: any number",
        validate=validate.Range(min=0, max=1_000_000),
    )
    caller_burst: int = setting(
        "int",
        5_000,
        "Events that one caller may post at once, before that pace counts",
        validate=validate.Range(min=1, max=1_000_000),
    )
    inbox_limit: int = setting(
        "int",
        100_000,
        "Events that may wait in a partition to be recorded; 0: any number",
        validate=validate.Range(min=0),
    )


def now() -> datetime:
    """Return the current time by intake's clock."""
    return datetime.now(UTC)


def create_app(
    callers: Callers,
    inbox: Inbox,
    *,
    partitions: int = 1,
    threads: int = 32,
    clock: Callable[[], datetime] = now,
    registry: CollectorRegistry | None = None,
    status: QueueStatus | None = None,
) -> Service:
    """Create the Flask application with its dependencies."""
    status = status or QueueStatus(inbox, partitions, clock)
    app = Service("intake", static_folder=None)
    may_wait = threading.Semaphore(threads // 2)
    intake = Intake(callers, inbox, partitions, may_wait, clock, status)
    app.register_blueprint(intake.routes())
    app.accepts["POST", "/events"] = PostedBodies(callers)
    registry = registry or CollectorRegistry()
    registry.register(QueueCollector(status))
    install(
        app,
        "intake",
        lambda: status.current().why or None,
        registry,
        details=lambda: {"recording": status.current().recording()},
    )
    describe(app, document)
    return app


def build_dependencies(settings: IntakeSettings) -> tuple[Callers, Inbox]:
    """Create the dependencies of intake; SettingsError if one is missing or invalid."""
    urls = settings.queue_urls
    queue = doorbell.bell(connect(urls[0]))
    inbox = Inbox(
        RedisServers.connect(urls),
        Transit.from_folder(settings.key_folder),
        ring=lambda partition: doorbell.ring(queue, partition),
        blocking=RedisServers.connect(urls, timeout=MAX_WAIT + 5),
        replicas=settings.replicas,
        limits=Limits(settings.caller_limit, settings.caller_burst, settings.inbox_limit),
        partitions=settings.partitions,
    )
    return Callers.from_folder(settings.key_folder, settings.audience), inbox


def check() -> None:
    """Check that the application can start; raise SettingsError or PreconditionFailed if not."""
    settings = IntakeSettings.load()
    _, inbox = build_dependencies(settings)
    check_layout(inbox.queues, settings.partitions)


def from_environment() -> Service:
    """Create the application from the environment. The HTTP server calls this."""
    die_with_parent()
    settings = IntakeSettings.load()
    log_setup.configure(settings.log_level)
    callers, inbox = build_dependencies(settings)
    status = QueueStatus(inbox, settings.partitions, now)
    status.start()
    app = create_app(
        callers, inbox, partitions=settings.partitions, threads=settings.threads, status=status
    )
    tune_gc()
    return app
