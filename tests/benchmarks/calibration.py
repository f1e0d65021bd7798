"""The speed of this machine, so that figures of different machines can be compared."""

import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.crypto.jwe import Key
from tests.benchmarks.processes import SERVER_CORE, on_core
from tests.process import scratch_folder

TURNS = 7
MEGABYTE = bytes(1_000_000)


def calibrate() -> dict[str, float]:
    """Measure what the figures depend on: medians of a few turns, on the services' core."""
    message, nonce = bytes(300), bytes(12)  # a fixed nonce is safe: the key is not used again
    signer, cipher = Ed25519PrivateKey.generate(), Key.fresh().cipher
    with on_core(SERVER_CORE):
        hashing = _seconds(lambda: sha256(MEGABYTE), 20)
        return {
            "ed25519_sign_us": round(_seconds(lambda: signer.sign(message), 500) * 1e6, 1),
            "aes_gcm_300_bytes_us": round(
                _seconds(lambda: cipher.encrypt(nonce, message, None), 5_000) * 1e6, 2
            ),
            "sha256_mb_per_s": round(1 / hashing),
            "fsync_ms": round(_fsync_seconds() * 1000, 3),
        }


def described(figures: dict[str, float]) -> str:
    """Describe the figures in one line."""
    return (
        f"this machine: Ed25519 sign {figures['ed25519_sign_us']} µs, AES-GCM of 300 bytes "
        f"{figures['aes_gcm_300_bytes_us']} µs, SHA-256 {figures['sha256_mb_per_s']} MB/s, "
        f"fsync of 4 KiB {figures['fsync_ms']} ms"
    )


def _seconds(work: Callable[[], object], times: int) -> float:
    """Return the seconds of one piece of work."""

    def turn() -> float:
        began = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - began) / times

    return median(turn() for _ in range(TURNS))


def _fsync_seconds() -> float:
    """Return the seconds to write 4 KiB to the disk where the measured ledgers are."""
    folder = scratch_folder()
    path = Path(folder, "synced")
    try:
        with path.open("wb", buffering=0) as file:

            def write() -> None:
                file.write(bytes(4096))
                os.fsync(file.fileno())

            return _seconds(write, 20)
    finally:
        path.unlink(missing_ok=True)
        folder.rmdir()
