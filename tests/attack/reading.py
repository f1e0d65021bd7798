"""Attacks on the read API: connections, readers that do not read, costly requests."""

import resource
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.attack.attacks import Run, attack
from tests.attack.clients import NDJSON, Bystander, Client, in_threads, opened, reader, writes
from tests.attack.figures import milliseconds
from tests.attack.ground import with_limit
from tests.attack.memory import peak_mib
from tests.chaos.system import Process

READERS = 24
BURST = 2.0  # seconds
IDLE = 36.0  # seconds between bursts: the server ends threads that were idle for 30
DESCRIPTORS = 1_024  # what systemd and most shells give a process
SEVERAL = 16  # connections or requests at once
UNREAD = 10_000  # entries: 20 pages, more than the server and the kernel hold for a connection
WINDOW = 4_096  # receive buffer of a reader who does not read, in bytes
SOON = 1_000  # milliseconds in which others must be answered


@attack("S1", "24 readers in bursts with pauses between", stores=("sqlite",), short=("sqlite",))
def s1(run: Run) -> None:
    client = run.with_plan("person:ada")
    ledger, crashes, statuses = run.system.ledger, 0, Counter[int]()
    bursts = run.size(8, 3)
    for number in range(bursts):
        if run.short:
            ledger.again()  # a fresh process instead of threads that have ended
        elif number:
            time.sleep(IDLE)
        statuses += _burst(run, client.author, 1.0 if run.short else BURST)
        if not _lives(ledger):
            crashes += 1
            ledger.again()
    run.figures.add("bursts", bursts)
    run.figures.add("answers", sum(statuses.values()) - statuses[0])
    run.figures.add("crashes of the read API", crashes, limit="= 0")
    failed = sum(count for status, count in statuses.items() if status >= 500)
    run.figures.add("answers 5xx", failed, limit="= 0")


def _burst(run: Run, author: str, seconds: float) -> Counter[int]:
    """Have every reader send requests without pause; half of them /readyz, without a token."""
    statuses, end, adding = Counter[int](), time.monotonic() + seconds, threading.Lock()

    def reads(number: int) -> None:
        client = Client(run.system, author, timeout=5)
        path = "/readyz" if number % 2 else f"/people/{author}/plan"
        counts = Counter[int]()
        while time.monotonic() < end:
            status, _ = client.get(path)
            counts[status] += 1
            if status == 0:
                break  # disconnected; the caller checks for a crash
        client.close()
        with adding:
            statuses.update(counts)

    for thread in in_threads(reads, READERS):
        thread.join(seconds + 15)
    return statuses


def _lives(process: Process) -> bool:
    """Return whether the process and its children run and answer."""
    time.sleep(0.3)  # a server that has lost its child ends a moment later
    return process.pid is not None and process.answers()


@attack("S6", "16 connections ask for a history and do not read it")
def s6(run: Run) -> None:
    history = [writes(run.name("person:eve"), "x" * 700) for _ in range(UNREAD)]
    eve, bob = run.with_plan("person:eve", *history), run.with_plan("person:bob", timeout=2)
    seconds = run.size(60, 5)
    request = (
        f"GET /people/{eve.author}/history?limit=500 HTTP/1.1\r\nHost: ledger\r\n"
        f"Authorization: Bearer {run.system.token(eve.author)}\r\nAccept: {NDJSON}\r\n\r\n"
    )
    with opened(run.system.ledger.port, SEVERAL, window=WINDOW) as connections:
        for connection in connections:
            connection.sendall(request.encode())
        time.sleep(1)
        with Bystander(reader(bob)) as plans, Bystander(_ready(run), 0.5) as ready:
            time.sleep(seconds)
    run.figures.add("others' plans served", plans.served)
    run.figures.add("others' plans not served in 2 s", plans.failures, limit="= 0")
    p99 = milliseconds(plans.seconds, 99)
    run.figures.add("others' plans, p99", p99, "ms", f"<= {SOON}")
    run.figures.add("/readyz not served in 2 s", ready.failures, limit="= 0")
    run.figures.add("read API alive", _lives(run.system.ledger), limit="= 1")


def _ready(run: Run) -> Callable[[], bool]:
    """Return a bystander's action: check whether the read API is ready."""
    probe = run.client("person:probe", timeout=2)
    return lambda: probe.get("/readyz")[0] == 200


@attack("S15", "1,024 idle connections while a process may open 1,024 files")
def s15(run: Run) -> None:
    ada = run.with_plan("person:ada")
    _allow_descriptors(4 * DESCRIPTORS)
    for process in (run.system.ledger, run.system.intake):
        process.under = with_limit(f"-n {DESCRIPTORS}")
        process.again()
        waited = _held_out(run, process, ada, run.size(60, 4))
        run.figures.add(f"{process.name}: longest wait of another", waited, "s", "<= 15")


def _held_out(run: Run, process: Process, client: Client, seconds: float) -> float:
    """Return the longest time without an answer for another caller on new connections."""

    def asks() -> bool:
        other = Client(run.system, client.author, timeout=1)
        try:
            if process is run.system.ledger:
                return other.get(f"/people/{client.author}/plan")[0] == 200
            return other.post(writes(client.author, "Fish"))[0] == 202
        finally:
            other.close()

    with opened(process.port, DESCRIPTORS), Bystander(asks) as other:
        time.sleep(seconds)
    return other.gap


def _allow_descriptors(count: int) -> None:
    """Raise this process's own limit, since it holds the connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


@attack("S19", "16 × /origins at once by one caller")
def s19(run: Run) -> None:
    history = [writes(run.name("person:eve"), "word " * 40) for _ in range(run.size(6_000, 1_500))]
    eve, bob = run.with_plan("person:eve", *history), run.with_plan("person:bob")
    with Bystander(reader(bob)) as undisturbed:
        time.sleep(run.size(10, 2))
    statuses, over = Counter[int](), threading.Event()

    def asks(_: int) -> None:
        client = Client(run.system, eve.author, timeout=30)
        while not over.is_set():
            status, _body = client.get(f"/people/{eve.author}/origins")
            statuses[status] += 1
            if status != 200:
                over.wait(0.05)
        client.close()

    threads = in_threads(asks, SEVERAL)
    with Bystander(reader(bob)) as plans:
        time.sleep(run.size(30, 4))
    over.set()
    for thread in threads:
        thread.join(60)
    how = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    run.figures.add("answers to /origins", sum(statuses.values()), note=how)
    run.figures.add("others' plans undisturbed, p99", milliseconds(undisturbed.seconds, 99), "ms")
    run.figures.add("others' plans, p50", milliseconds(plans.seconds, 50), "ms")
    run.figures.add("others' plans, p99", milliseconds(plans.seconds, 99), "ms", f"<= {SOON}")
    run.figures.add("others' plans not served", plans.failures, limit="= 0")
    run.figures.add("read API's memory, peak", peak_mib(run.system.ledger.pid), "MiB", "<= 400")
    run.figures.add("read API alive", _lives(run.system.ledger), limit="= 1")
