"""Attacks on the write path: stalled bodies, costly or large events, a slow witness."""

import contextlib
import json
import select
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
from aics_tlog import parse_vkey
from aics_witness import LogConfig, WitnessHTTPServer, WitnessStore, load_or_create_key, make_server
from aics_witness import Witness as RealWitness
from sqlalchemy import text

from services.ledger.config import signers
from services.ledger.log.signed_note import Checkpoint, split_note
from services.ledger.store.database import transaction
from tests.attack.alarms import log_lines, log_size
from tests.attack.attacks import Run, attack
from tests.attack.clients import (
    EVENT,
    Bystander,
    Client,
    Json,
    event,
    in_threads,
    opened,
    poster,
    writes,
)
from tests.attack.figures import milliseconds
from tests.attack.ground import with_limit
from tests.attack.memory import folder_bytes, peak_mib
from tests.chaos.rig import Process, Rig
from tests.process import wait_until

TOKENS, BODIES = 40, 3
SOON = 1_000  # milliseconds in which another caller is to be answered
RECORDED = 10  # seconds in which another person's event is to be recorded
PATIENCE = 60.0  # seconds after which an event that is still not recorded is no longer waited for
EXPIRED = "2020-01-01T00:00:00Z"
FLOOD = 180.0  # seconds that one person posts at most
ADDRESS_SPACE = 1_000  # MiB, as a container's limit
LONG = "He sat at the gate and looked out over the water for a good while. " * 290


@attack("S2", "40 tokens × 3 bodies that stall after one byte", short=("sqlite",))
def s2(run: Run) -> None:
    ada, probe = run.with_plan("person:ada", timeout=5), run.client("person:probe", timeout=5)
    with Bystander(poster(ada), 0.01) as undisturbed:
        time.sleep(run.size(10, 2))
    with opened(run.rig.intake.port, TOKENS * BODIES) as held:
        for number, each in enumerate(held):
            token = run.rig.token(run.name(f"person:mallory{number % TOKENS}"))
            head = (
                f"POST /events HTTP/1.1\r\nHost: intake\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: {EVENT}\r\nContent-Length: 500\r\n\r\n{{"
            )
            each.sendall(head.encode())
        with Bystander(poster(ada), 0.01) as beside:
            time.sleep(run.size(60, 11))  # longer than the 10 s that a body has
            lives = probe.ask(run.rig.intake.port, "GET", "/livez")[0]
        answered = len(select.select(held, [], [], 0)[0])
    for what, found in (("undisturbed", undisturbed), ("beside them", beside)):
        run.sheet.add(f"another's POSTs {what}", found.rate, "/s")
        run.sheet.add(f"another's POSTs {what}, p50", milliseconds(found.seconds, 50), "ms")
    run.sheet.add("another's POSTs undisturbed, p99", milliseconds(undisturbed.seconds, 99), "ms")
    p99 = milliseconds(beside.seconds, 99)
    run.sheet.add("another's POSTs beside them, p99", p99, "ms", f"<= {SOON}")
    run.sheet.add("another's POSTs that failed", beside.failures, limit="= 0")
    run.sheet.add("longest time without a POST", beside.gap, "s", "<= 5")
    run.sheet.add("/livez at the end", lives, limit="= 200")
    run.sheet.add("stalled bodies answered or hung up on", answered)


def _another(run: Run) -> Client:
    """Another person, who has a plan already."""
    return run.with_plan("person:bob")


@attack("S3", "20,000 grants that ran out, then 2,000 questions to their partner")
def s3(run: Run) -> None:
    bob, eve = _another(run), run.with_plan("person:eve")
    since = log_size(run.rig.worker)
    partner = run.name("partner:sam")
    grant = {"to": partner, "scopes": ["observe"], "until": EXPIRED, "purpose": "x", "wording": "x"}
    grants = [event("access.granted", eve.author, grant) for _ in range(run.size(20_000, 2_500))]
    eve.post_all(grants)
    _until_over(eve, grants[-1])
    asked = {"to": partner, "words": "Why?"}
    questions = [event("question.asked", eve.author, asked) for _ in range(run.size(2_000, 1_000))]
    eve.post_all(questions)
    _recorded_meanwhile(run, bob, since)


@attack("S3b", "5,000 words to avoid, then 60 long observations", short=("sqlite",))
def s3b(run: Run) -> None:
    bob, eve = _another(run), run.with_plan("person:eve")
    since = log_size(run.rig.worker)
    sam = run.client(run.name("partner:sam"))
    grant = {"to": sam.author, "scopes": ["observe"], "until": "until-withdrawn"}
    granted = event("access.granted", eve.author, {**grant, "purpose": "x", "wording": "x"})
    avoided = [
        event("wording.preferred", eve.author, {"say": "Eve", "instead_of": f"avoided {number} x"})
        for number in range(run.size(5_000, 1_000))
    ]
    eve.post_all([granted, *avoided])
    _until_over(eve, avoided[-1])
    seen = {"seen_or_heard": LONG, "who_saw": sam.author}
    sam.post_all([event("observation.recorded", eve.author, seen) for _ in range(run.size(60, 15))])
    _recorded_meanwhile(run, bob, since)


def _until_over(client: Client, sent: Json) -> None:
    """Until an event is recorded, or has not been for so long that this is the finding."""
    with contextlib.suppress(Exception):
        wait_until(lambda: client.fate(sent) is not None, "the events before", PATIENCE)


def _recorded_meanwhile(run: Run, bob: Client, since: int) -> None:
    """How long another person waits now, and what it costs the worker."""
    patience = min(PATIENCE, run.size(60, 15))
    waited = bob.seconds_until_recorded(writes(bob.author, "Fish"), patience)
    batches = [line for line in log_lines(run.rig.worker, since) if line.get("event") == "batch"]
    failed = [
        line
        for line in log_lines(run.rig.worker, since)
        if line.get("event") == "partition_blocked"
    ]
    longest = max((line["milliseconds"] for line in batches), default=0.0) / 1000
    note = f"not yet after {patience:g} s" if waited >= patience else ""
    if note:  # the batch under way has no line in the log yet
        longest = max(longest, waited)
    limit = f"<= {RECORDED // 2 if run.short else RECORDED}"
    run.sheet.add("another's event recorded in", waited, "s", limit, note)
    run.sheet.add("batches", len(batches))
    run.sheet.add("longest batch", longest, "s", "<= 5")
    run.sheet.add("batches that failed", len(failed), limit="= 0")
    run.sheet.add("worker's memory, peak", peak_mib(run.rig.worker.pid), "MiB")


@attack("S4", "one person posts 77 MB; the worker has 1,000 MiB")
def s4(run: Run) -> None:
    rig, bob, eve = run.rig, _another(run), run.with_plan("person:eve")
    rig.worker.under = with_limit(f"-v {ADDRESS_SPACE * 1024}")
    rig.worker.again()
    before = _stored(rig)
    limit = run.size(77_000_000, 9_000_000)
    flood = _Flood(eve, limit)
    waits = [bob.seconds_until_recorded(writes(bob.author, "Fish"), PATIENCE)]
    peak = 0.0
    while not flood.over and waits[-1] < PATIENCE:
        waits.append(bob.seconds_until_recorded(writes(bob.author, "Fish"), PATIENCE))
        peak = max(peak, peak_mib(rig.worker.pid))
    flood.stop()
    waits.append(bob.seconds_until_recorded(writes(bob.author, "Fish"), PATIENCE))
    with contextlib.suppress(Exception):
        rig.drained(30)
    peak = max(peak, peak_mib(rig.worker.pid))
    worst = max(waits)
    note = f"not yet after {PATIENCE:g} s" if worst >= PATIENCE else ""
    run.sheet.add("posted", flood.posted / 1e6, "MB")
    run.sheet.add("another's event recorded in, worst", worst, "s", f"<= {RECORDED}", note)
    run.sheet.add("worker alive", bool(rig.worker.pid), limit="= 1")
    run.sheet.add("worker's memory, peak", peak, "MiB", f"<= {ADDRESS_SPACE}")
    ratio = (_stored(rig) - before) / max(flood.posted, 1)
    run.sheet.add("bytes stored for a byte posted", ratio, "", f"<= {20 if run.short else 10}")
    if waits[-1] < PATIENCE:
        _four_reads(run, bob, eve)


def _four_reads(run: Run, bob: Client, eve: Client) -> None:
    """Four reads of the large plan at once, beside another's."""

    def reads(_: int) -> None:
        client = Client(run.rig, eve.author, timeout=60)
        client.get(f"/people/{eve.author}/plan")
        client.close()

    threads = in_threads(reads, 4)
    time.sleep(0.05)
    with Bystander(lambda: bob.get(f"/people/{bob.author}/plan")[0] == 200) as plans:
        for each in threads:
            each.join(60)
    slowest = max(plans.seconds, default=0.0)
    run.sheet.add("another's plan beside four reads of it, slowest", slowest, "s", "<= 1")
    run.sheet.add("read API's memory, peak", peak_mib(run.rig.ledger.pid), "MiB", "<= 600")


class _Flood:
    """Posts new lines of a plan, as large as they may be, until there are so many bytes."""

    def __init__(self, client: Client, limit: int) -> None:
        self.posted, self._limit, self._stop = 0, limit, threading.Event()
        self._client = client
        (self._thread,) = in_threads(self._run, 1)

    @property
    def over(self) -> bool:
        """Whether everything was posted."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Post no more."""
        self._stop.set()
        self._thread.join(60)

    def _run(self, _: int) -> None:
        end = time.monotonic() + FLOOD
        while self.posted < self._limit and not self._stop.is_set() and time.monotonic() < end:
            sent = [
                event("aspiration.stated", self._client.author, {"words": LONG[:19_900]})
                for _ in range(50)
            ]
            self._client.post_all(sent, patience=20)
            self.posted += sum(len(orjson.dumps(each)) for each in sent)


def _stored(rig: Rig) -> int:
    """Bytes of the database."""
    if rig.database.kind == "sqlite":
        return folder_bytes(Path(rig.settings.store_url.partition("///")[2]).parent)
    with transaction(rig.engine) as connection:
        size = connection.execute(text("SELECT pg_database_size(current_database())"))
        return int(size.scalar_one())


@attack("S14", "a witness that answers one byte a second, beside an honest one")
def s14(run: Run) -> None:
    rig, bob = run.rig, _another(run)
    policy = rig.settings.key_folder / "witnesses.json"
    with contextlib.ExitStack() as stack:
        honest = stack.enter_context(_honest(rig))
        slow = stack.enter_context(_dripping())
        key, _, _ = load_or_create_key(rig.folder / "slow.key", environ={})
        store = WitnessStore(rig.folder / "slow.db", create=True)
        vkey = RealWitness("slow.example/w", key, store, []).vkey_text
        store.close()
        known = [
            {"url": honest.url.rstrip("/"), "vkey": honest.witness.vkey_text},
            {"url": slow, "vkey": vkey},
        ]
        policy.write_text(json.dumps({"quorum": 1, "witnesses": known}))
        stack.callback(policy.unlink)
        for each in (rig.worker, rig.ledger):
            each.again()
        _beside_witnesses(run, bob, run.size(45, 8))
        for each in (rig.worker, rig.ledger):
            each.kill()


def _beside_witnesses(run: Run, bob: Client, seconds: float) -> None:
    """Post, and look at how long a new checkpoint takes to be served with a cosignature."""
    rig, waits, end = run.rig, list[float](), time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        sent = writes(bob.author, "Fish")
        bob.seconds_until_recorded(sent, 10)
        size = (bob.fate(sent) or {"index": 0})["index"] + 1
        while time.monotonic() < end and _served(bob) < size:
            time.sleep(0.1)
        waits.append(time.monotonic() - began)
    status, _ = bob.get("/logs/0/checkpoint")
    alive = rig.worker.pid is not None
    run.sheet.add("checkpoints served with a cosignature", len(waits) - 1, note=f"in {seconds} s")
    run.sheet.add("until an event is in a served checkpoint, worst", max(waits), "s", "<= 5")
    run.sheet.add("/logs/0/checkpoint", status, limit="= 200")
    run.sheet.add("worker alive", alive, limit="= 1")
    began = time.monotonic()
    patience = run.size(60, 15)
    ended = _ends(rig.worker, patience) if alive else False
    took = time.monotonic() - began if ended else patience
    run.sheet.add("worker ends after SIGTERM in", took, "s", "<= 12")


def _served(client: Client) -> int:
    """The size of the checkpoint that is served; -1 if none is."""
    status, body = client.get("/logs/0/checkpoint")
    return Checkpoint.parse(split_note(body.decode())[0]).size if status == 200 else -1


def _ends(process: Process, patience: float) -> bool:
    """Whether the process ends in good order when it is asked to."""
    process.ask_to_end()
    with contextlib.suppress(Exception):
        wait_until(lambda: process.pid is None, "the worker to end", patience)
    return process.pid is None


@contextlib.contextmanager
def _honest(rig: Rig) -> Iterator[WitnessHTTPServer]:
    """A witness that cosigns what has only grown."""
    (signer,) = signers(rig.settings)
    key, _, _ = load_or_create_key(rig.folder / "honest.key", environ={})
    store = WitnessStore(rig.folder / "honest.db", create=True)
    logs = [LogConfig(signer.origin, tuple(parse_vkey(each) for each in signer.vkeys))]
    server = make_server(RealWitness("honest.example/w", key, store, logs))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        store.close()


@contextlib.contextmanager
def _dripping() -> Iterator[str]:
    """The address of a server that answers each POST with one byte a second."""
    over = threading.Event()

    class Drips(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with contextlib.suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n" + b"x" * 600:
                    self.connection.sendall(bytes([byte]))
                    if over.wait(1):
                        return

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Drips)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
