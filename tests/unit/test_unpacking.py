"""A .tar.gz export is unpacked by ourselves: on every Python 3.11, and nothing but plain files."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from services import verify
from services.ledger.audit import export_source
from services.ledger.log.signed_note import Signer
from tests import exports
from tests.exports import LogSpec
from tests.golden.make import HERE
from tests.house.files import ROOT

Unpack = Callable[[Path, Path], tuple[Path, list[str]]]
LEAF = (HERE / "entry/before-a-plan.json").read_bytes()
SIGNER = Signer("log.example/0", bytes(32))
OLDEST = Path("/usr/bin/python3")  # Debian 12's has no `filter` in tarfile
VERSION = "import sys; print(*sys.version_info[:3])"
AUDIT = """
import sys
from pathlib import Path
from services.ledger.audit.export_source import unpack
found, odd = unpack(Path(sys.argv[1]), Path(sys.argv[2]))
assert not odd, odd
assert (found / "logs/0/checkpoint").is_file()
"""


def by_audit(archive: Path, folder: Path) -> tuple[Path, list[str]]:
    """Unpack as audit and restore do; the folder, and which members are findings."""
    where, found = export_source.unpack(archive, folder)
    return where, [name for _, _, name, _ in found]


def by_verify(archive: Path, folder: Path) -> tuple[Path, list[str]]:
    """Unpack as verify.py does; the folder, and which members are findings."""
    report = verify.Report()
    return verify.unpack(archive, folder, report), [each.where for each in report.findings]


both = pytest.mark.parametrize("unpack", [by_audit, by_verify])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return exports.write(tmp_path / "export", [LogSpec([LEAF], SIGNER, archived=(0,))])


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "parent").mkdir()
    folder = tmp_path / "parent/into"
    folder.mkdir()
    return folder


def packed(export: Path, inside: str, *more: tuple[tarfile.TarInfo, bytes]) -> Path:
    """The export packed under a name, and other members after it."""
    archive = export.parent / "export.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(export, inside)
        for member, raw in more:
            member.size = member.size or len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return archive


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@both
@pytest.mark.parametrize("inside", ["export", ".", "", "a/b"])
def test_it_needs_no_extract_of_tarfile(
    unpack: Unpack, inside: str, export: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_old(*_: object, **__: object) -> None:
        raise TypeError("TarFile.extract() got an unexpected keyword argument 'filter'")

    for name in ("extract", "extractall"):
        monkeypatch.setattr(tarfile.TarFile, name, too_old)
    where, odd = unpack(packed(export, inside), into)
    assert odd == []
    assert files(where if inside != "a/b" else where / "b") == files(export)


@both
@pytest.mark.parametrize(
    "odd",
    [
        member("../outside"),
        member("/outside"),
        member("export/../../outside"),
        member("export/logs/0/link", tarfile.SYMTYPE, "../../../../outside"),
        member("export/logs/0/hard", tarfile.LNKTYPE, "../../../../outside"),
        member("export/logs/0/pipe", tarfile.FIFOTYPE),
        member("export/logs/0/disk", tarfile.BLKTYPE),
        member("export/logs/0/checkpoint"),
    ],
    ids=lambda each: each.name,
)
def test_what_is_no_plain_file_inside_is_a_finding_and_not_written(
    unpack: Unpack, odd: tarfile.TarInfo, export: Path, into: Path
) -> None:
    archive = packed(export, "export", (odd, b"spoilt" if odd.isreg() else b""))
    before = files(export)
    where, found = unpack(archive, into)
    assert found == [odd.name]
    assert files(where) == before
    assert [each.name for each in into.parent.iterdir()] == ["into"]


@both
def test_a_negative_size_does_not_go_round_for_ever(
    unpack: Unpack, export: Path, into: Path
) -> None:
    odd = member("export/odd")
    odd.size = -1024
    archive = export.parent / "odd.tar.gz"
    with tarfile.open(archive, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(odd)
    assert len(unpack(archive, into)[1]) == 1


def test_debians_oldest_python_unpacks_what_we_pack(
    export: Path, into: Path, tmp_path: Path
) -> None:
    """With the packages of this Python, which are of the same 3.11."""
    if not OLDEST.exists() or sys.version_info[:2] != (3, 11):
        pytest.skip("this needs Python 3.11 here and a Debian's own")
    said = subprocess.run([OLDEST, "-c", VERSION], capture_output=True, text=True, check=True)
    if not [3, 11, 0] <= [int(each) for each in said.stdout.split()] < [3, 11, 4]:
        pytest.skip(f"Debian's own is {said.stdout.strip()}")
    packages = Path(pytest.__file__).parents[1]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)])}
    archive = packed(export, "export")
    subprocess.run([OLDEST, "-c", AUDIT, archive, into], env=env, check=True)
    program = tmp_path / "verify.py"
    shutil.copy(verify.__file__, program)
    done = subprocess.run(
        [OLDEST, program, archive, "--vkey", SIGNER.vkey],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 findings" in done.stdout
