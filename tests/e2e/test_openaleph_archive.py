"""The archive: content-addressed, verified on reading, and copies that end with their process."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from harness.server_process import ROOT

sys.path.insert(0, str(ROOT / "python"))  # this tree's, installed or not

from penstock import scratch
from penstock.archive import (
    ArchiveError,
    BlobDamagedError,
    BlobNotFoundError,
    FolderArchive,
    safe_name,
)

TEXT = b"The report of the third of May.\n" * 1000
SHA1 = hashlib.sha1(TEXT).hexdigest()
SHA256 = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies go into a folder of the test's own."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(scratch, "_own", None)


def put_as_servicelayer(root: Path, name: str = "report.txt", text: bytes = TEXT) -> Path:
    folder = root / SHA1[:2] / SHA1[2:4] / SHA1[4:6] / SHA1
    folder.mkdir(parents=True)
    (folder / name).write_bytes(text)
    return folder / name


def copies(tmp_path: Path) -> list[str]:
    """The files of all processes' temporary folders."""
    return [path.name for path in (tmp_path / "tmp").rglob("*") if path.is_file()]


def test_what_is_archived_is_found_by_its_hash(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "archive")
    file = tmp_path / "report.txt"
    file.write_bytes(TEXT)
    assert archive.archive_file(file) == SHA256
    assert archive.exists(SHA256)
    assert b"".join(archive.stream(SHA256)) == TEXT
    with archive.open(SHA256.upper()) as opened:
        assert opened.read(10) == TEXT[:10]
        assert opened.seek(0) == 0
        assert opened.read() == TEXT
        assert opened.checksum == SHA256
        assert opened.info == {"name": "report.txt", "size": len(TEXT)}


def test_the_same_bytes_are_kept_once(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "archive")
    hashes = {archive.store(io.BytesIO(TEXT), name) for name in ("a.txt", "b.txt", None)}
    assert hashes == {SHA256}
    files = [path for path in (tmp_path / "archive").rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["a.txt"]


def test_many_archive_the_same_at_once(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "archive")
    said: list[str] = []
    threads = [
        threading.Thread(target=lambda: said.append(archive.store(io.BytesIO(TEXT), "a")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [SHA256] * 8
    assert [path.name for path in (tmp_path / "archive").rglob("*") if path.is_file()] == ["a"]


def test_a_servicelayer_archive_is_read_in_place(tmp_path: Path) -> None:
    kept = put_as_servicelayer(tmp_path / "archive")
    archive = FolderArchive(tmp_path / "archive")
    with archive.open(SHA1) as opened:
        assert opened.read() == TEXT
        assert opened.path == kept
    with archive.localpath(SHA1) as path:
        assert path.read_bytes() == TEXT
        assert path != kept
        assert path.name == "report.txt"
        path.write_bytes(b"scribbled over")
    assert kept.read_bytes() == TEXT
    assert not path.exists()


def test_a_lakehouse_blob_is_told_from_what_stands_beside_it(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "archive", "blob")
    archive.store(io.BytesIO(TEXT), "report.txt")
    folder = tmp_path / "archive" / SHA256[:2] / SHA256[2:4] / SHA256[4:6] / SHA256
    assert [path.name for path in folder.iterdir()] == ["blob"]
    (folder / "a1b2.json").write_text("{}")
    (folder / "ingest.txt").write_text("its text")
    assert b"".join(archive.stream(SHA256)) == TEXT


@pytest.mark.parametrize("wanted", ["0" * 40, "0" * 64, "", "../../etc/passwd", "xyz"])
def test_what_is_not_there_is_told_on_entering(tmp_path: Path, wanted: str) -> None:
    archive = FolderArchive(tmp_path)
    assert not archive.exists(wanted)
    assert archive.load_file(wanted, tmp_path) is None
    with pytest.raises(BlobNotFoundError), archive.open(wanted):
        raise AssertionError("entered")
    with pytest.raises(BlobNotFoundError), archive.localpath(wanted):
        raise AssertionError("entered")
    assert copies(tmp_path) == []


def test_wrong_bytes_are_never_handed_out(tmp_path: Path) -> None:
    put_as_servicelayer(tmp_path / "archive", text=TEXT[:-1] + b"!")
    archive = FolderArchive(tmp_path / "archive")
    with pytest.raises(BlobDamagedError, match="is damaged"), archive.open(SHA1):
        raise AssertionError("entered")
    with pytest.raises(BlobDamagedError), archive.localpath(SHA1):
        raise AssertionError("entered")
    with pytest.raises(BlobDamagedError):
        list(archive.stream(SHA1))
    with pytest.raises(BlobDamagedError):
        archive.load_file(SHA1, tmp_path, "copy")
    assert not (tmp_path / "copy").exists()
    assert copies(tmp_path) == []


def test_nested_copies_of_one_file_do_not_touch_each_other(tmp_path: Path) -> None:
    put_as_servicelayer(tmp_path / "archive")
    archive = FolderArchive(tmp_path / "archive")
    with archive.localpath(SHA1) as outer:
        with archive.localpath(SHA1) as inner:
            assert inner != outer
        assert not inner.exists()
        assert outer.read_bytes() == TEXT
    assert copies(tmp_path) == []


def test_a_copy_goes_when_its_block_fails_or_removed_it_itself(tmp_path: Path) -> None:
    put_as_servicelayer(tmp_path / "archive")
    archive = FolderArchive(tmp_path / "archive")
    with pytest.raises(KeyError), archive.localpath(SHA1, "x.pdf") as path:
        (path.parent / "beside.tmp").write_text("of some program")
        raise KeyError
    assert copies(tmp_path) == []
    with archive.localpath(SHA1) as path:
        shutil.rmtree(path.parent)
    assert copies(tmp_path) == []


def test_a_copy_has_a_name_that_is_safe() -> None:
    assert safe_name("a/b/../c.pdf") == "c.pdf"
    assert safe_name("..\\..\\boot.ini") == "boot.ini"
    assert safe_name("..") == "data"
    assert safe_name(None) == "data"
    assert safe_name("a\x00b\nc.txt") == "abc.txt"
    assert safe_name("Übersicht 2024.docx") == "Übersicht 2024.docx"
    long = safe_name("ä" * 300 + ".pdf")
    assert len(long.encode()) <= 200 and long.endswith(".pdf")


HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from penstock.archive import FolderArchive
archive = FolderArchive(sys.argv[2])
with archive.localpath(sys.argv[3]) as path:
    print(path, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_swept_and_a_living_one_is_let_be(tmp_path: Path) -> None:
    put_as_servicelayer(tmp_path / "archive")
    command = [sys.executable, "-c", HOLDER, ROOT / "python", tmp_path / "archive", SHA1]
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with (
        subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as dead,
        subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as living,
    ):
        try:
            assert dead.stdout and living.stdout and living.stdin
            left, used = (Path(p.stdout.readline().strip()) for p in (dead, living))  # type: ignore[union-attr]
            dead.send_signal(signal.SIGKILL)
            dead.wait()
            assert left.exists()
            assert scratch.sweep_all() == 1
            assert not left.parent.parent.exists()
            assert used.read_bytes() == TEXT
            living.stdin.close()
            assert living.wait() == 0
        finally:
            living.kill()
    assert copies(tmp_path) == []
    assert list((tmp_path / "tmp").glob("penstock-*/*")) == []


def test_a_child_process_does_not_take_its_parents_folder_along(tmp_path: Path) -> None:
    put_as_servicelayer(tmp_path / "archive")
    archive = FolderArchive(tmp_path / "archive")
    with archive.localpath(SHA1) as path:
        parents = scratch._own
        assert parents is not None
        child = os.fork()
        if child == 0:
            try:
                with archive.localpath(SHA1) as own:
                    assert own.parent.parent != path.parent.parent
                parents.remove()  # as it does when a process ends
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert path.read_bytes() == TEXT


def test_half_of_a_file_is_never_in_the_archive(tmp_path: Path) -> None:
    class Torn(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("unplugged")

    archive = FolderArchive(tmp_path / "archive")
    with pytest.raises(OSError, match="unplugged"):
        archive.store(Torn(), "torn")  # type: ignore[arg-type]
    assert list((tmp_path / "archive").iterdir()) == []


def test_what_a_killed_process_was_archiving_is_swept_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    (root / ".incoming-left").mkdir(parents=True)
    (root / ".incoming-left" / "half.pdf").write_bytes(b"%PDF")
    FolderArchive(root).store(io.BytesIO(TEXT), "a")
    assert [path.name for path in root.iterdir()] == [SHA256[:2]]


def test_a_folder_that_somebody_else_made_is_not_used(tmp_path: Path) -> None:
    put_as_servicelayer(tmp_path / "archive")
    base = tmp_path / "tmp" / f"penstock-{os.getuid()}"
    base.mkdir(mode=0o755)
    base.chmod(0o755)
    archive = FolderArchive(tmp_path / "archive")
    with pytest.raises(OSError, match="set TMPDIR"), archive.localpath(SHA1):
        raise AssertionError("entered")


def test_an_archive_that_cannot_be_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):
        FolderArchive(tmp_path / "file").healthz()
    assert FolderArchive(tmp_path / "new").healthz()
    assert issubclass(BlobNotFoundError, ArchiveError)
