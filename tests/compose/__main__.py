"""Run docker-compose.yml on a private engine: `make compose-test`.

    python -m tests.compose [ARGUMENT …]         arguments are for pytest

Run `stack_tests.py`. Where no engine can be installed, print a line "SKIPPED" and return 0.
Nothing is left behind but the cache, also after Ctrl-C and SIGTERM: the state of the machine is
compared with that from before.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click

from shared.process import exit_on
from tests.compose.engine import Engine, EngineUnavailable, cgroups, dying_with_us

ROOT = Path(__file__).parents[2]
TESTS = Path(__file__).with_name("stack_tests.py")
SETTINGS = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "kernel/keys/root_maxkeys")


def run_tests(engine: Engine, arguments: list[str]) -> int:
    """Run pytest in the engine's network, where the ports are published; return its status."""
    pytest = sys.executable, "-m", "pytest", str(TESTS), "-p", "no:cacheprovider", *arguments
    tests = subprocess.Popen(
        dying_with_us(*engine.in_its_network(*pytest)),
        cwd=ROOT,
        env=engine.environment,
        process_group=0,  # Ctrl-C ends this process, which ends it and then the engine
    )
    try:
        return tests.wait()
    finally:
        if tests.poll() is None:
            os.killpg(tests.pid, signal.SIGKILL)
            tests.wait()


def machine(engine: Engine) -> dict[str, str]:
    """Describe what a container engine could change on this machine."""

    def answer(*command: str) -> str:
        return subprocess.check_output(["chroot", str(engine.root), *command], text=True)

    return {
        "interfaces": answer("ip", "-brief", "address"),
        "routes": answer("ip", "route", "show", "table", "all"),
        "firewall rules": answer("nft", "--stateless", "list", "ruleset"),
        "mounts": Path("/proc/self/mounts").read_text(),
        "cgroups": "\n".join(map(str, cgroups())),
        **{name: Path("/proc/sys", name).read_text() for name in SETTINGS},
    }


def processes_in(namespaces: set[str]) -> list[str]:
    """Return the ids of all processes in one of these namespaces."""
    pids = []
    for link in Path("/proc").glob("[0-9]*/ns/*"):
        try:
            if str(link.readlink()) in namespaces:
                pids.append(link.parts[2])
        except OSError:  # it has ended
            continue
    return pids


def main() -> int:
    """Run everything; return the status for the shell."""
    exit_on(signal.SIGINT, signal.SIGTERM)
    engine, began, namespaces = Engine(), time.monotonic(), set[str]()
    try:
        engine.install()
        before = machine(engine)
        with engine:
            namespaces = engine.namespaces()
            click.echo(
                f"Docker Engine {engine.docker('version', '--format', '{{.Server.Version}}')}"
            )
            click.echo(engine.docker("compose", "version"))
            status = run_tests(engine, sys.argv[1:])
    except EngineUnavailable as reason:
        click.secho(f"\n== SKIPPED: make compose-test has no engine here: {reason}\n", bold=True)
        return 0
    after = machine(engine)
    changed = [name for name in before if before[name] != after[name]]
    for name in changed:
        click.echo(f"CHANGED {name}: {before[name]}\n{after[name]}")
    if left := processes_in(namespaces):
        click.echo(f"LEFT RUNNING: {', '.join(left)}")
    if not changed and not left:
        click.echo(f"As before: {', '.join(before)}; no process is left")
    click.echo(f"make compose-test took {time.monotonic() - began:.0f} s")
    return status or int(bool(changed or left))


if __name__ == "__main__":
    sys.exit(main())
