"""Files of entities in tasks: opened, copied, verified; gone afterwards, whatever happened."""

from __future__ import annotations

import hashlib
import io
import os
import signal
from pathlib import Path

import pytest
from harness.openaleph_case import OpenAlephCase
from penstock.archive import BlobDamagedError, BlobNotFoundError
from penstock.openaleph import helpers
from penstock.openaleph.exceptions import ArchiveFileNotFound
from penstock.openaleph.model import DatasetJob

TEXT = b"Minutes of the third of May.\n" * 5000
SHA1 = hashlib.sha1(TEXT).hexdigest()
SHA256 = hashlib.sha256(TEXT).hexdigest()


def file_job(task: str, *hashes: str) -> DatasetJob:
    properties = {"contentHash": list(hashes), "fileName": ["minutes.txt"]}
    entity = {"id": "a", "schema": "Document", "properties": properties}
    return DatasetJob.from_entities("my_dataset", "ingest", task, [entity])


@pytest.fixture(params=["server", "folder", "servicelayer"])
def content_hash(
    request: pytest.FixtureRequest, openaleph: OpenAlephCase, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The hash of TEXT, which is in an archive of each kind."""
    if request.param == "server":
        return helpers.get_archive().store(io.BytesIO(TEXT))
    monkeypatch.setenv("ARCHIVE_TYPE", "file")
    monkeypatch.setenv("ARCHIVE_PATH", str(openaleph.folder / "archive"))
    if request.param == "folder":
        return helpers.get_archive().store(io.BytesIO(TEXT), "minutes.txt")
    folder = openaleph.folder.joinpath("archive", SHA1[:2], SHA1[2:4], SHA1[4:6], SHA1)
    folder.mkdir(parents=True)
    (folder / "minutes.txt").write_bytes(TEXT)
    return SHA1


TASKS = """
import hashlib, subprocess

def some_function(fh, entity):
    assert isinstance(fh.read(10), bytes)
    fh.seek(0)
    note(f"{entity.id} {hashlib.sha256(fh.read()).hexdigest()} {fh.checksum}")

@task(app=app)
def process_file(job: DatasetJob):
    for reference in job.get_file_references():
        with reference.open() as fh:
            some_function(fh, entity=reference.entity)

@task(app=app)
def process_path(job: DatasetJob):
    for reference in job.get_file_references():
        with reference.get_localpath() as path:
            done = subprocess.run(f"sha256sum -b {path} | cut -c1-64", shell=True,
                                  capture_output=True, text=True)
            note(f"{path.name} {done.stdout.strip()}")
            with reference.get_localpath() as second:
                assert second != path
            assert path.exists() and not second.exists()
            path.write_text("scribbled")
        assert not path.exists()

@task(app=app)
def fails(job: DatasetJob):
    for reference in job.get_file_references():
        with reference.get_localpath() as path, reference.open() as fh:
            (path.parent / "converted.pdf").write_text("of some program")
            note(path)
            raise ValueError("half-way")

@task(app=app, pass_context=True)
def hangs(context, job: DatasetJob):
    for reference in job.get_file_references():
        with reference.get_localpath() as path:
            note(f"{context.attempt} {os.getpid()} {path}")
            if context.attempt == 1:
                time.sleep(3600)
"""


def test_a_file_is_opened_and_its_path_given(openaleph: OpenAlephCase, content_hash: str) -> None:
    openaleph.write(TASKS)
    file_job("mylib.process_file", content_hash).defer(openaleph.app)
    file_job("mylib.process_path", content_hash).defer(openaleph.app)
    openaleph.work("--concurrency", "1")
    assert sorted(openaleph.notes()) == [f"a {SHA256} {content_hash}", f"minutes.txt {SHA256}"]
    assert openaleph.states() == ["completed"] * 2
    assert openaleph.left() == []
    with helpers.open_file("my_dataset", content_hash) as file:
        assert file.read() == TEXT


def test_a_copy_is_gone_when_the_task_fails(openaleph: OpenAlephCase, content_hash: str) -> None:
    openaleph.write(TASKS)
    file_job("mylib.fails", content_hash).defer(openaleph.app)
    openaleph.work()
    assert openaleph.states() == ["failed"]
    assert not Path(openaleph.notes()[0]).exists()
    assert openaleph.left() == []


def test_a_copy_is_gone_when_the_worker_is_killed(
    openaleph: OpenAlephCase, content_hash: str
) -> None:
    openaleph.write(TASKS)
    file_job("mylib.hangs", content_hash).defer(openaleph.app)
    worker = openaleph.start()
    openaleph.until(openaleph.notes)
    _, pid, path = openaleph.notes()[0].split()
    assert Path(path).exists()
    os.kill(int(pid), signal.SIGKILL)
    # The supervisor starts another process, which sweeps and runs the job again.
    openaleph.until(lambda: openaleph.states() == ["completed"])
    assert not Path(path).exists()
    worker.terminate()
    assert worker.wait(30) == 0
    assert openaleph.left() == []
    assert [note.split()[0] for note in openaleph.notes()] == ["1", "2"]


def test_a_missing_file_is_told_on_entering(
    openaleph: OpenAlephCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variables in ({}, {"ARCHIVE_PATH": str(openaleph.folder)}):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        for missing in (SHA1, SHA256, "../etc/passwd", "short"):
            (reference,) = file_job("t", missing).get_file_references()
            with pytest.raises(ArchiveFileNotFound), reference.open():
                raise AssertionError("entered")
            with pytest.raises(ArchiveFileNotFound), reference.get_localpath():
                raise AssertionError("entered")
    assert issubclass(ArchiveFileNotFound, BlobNotFoundError)
    assert openaleph.left() == []


def test_a_damaged_file_is_told_before_its_bytes_are_used(openaleph: OpenAlephCase) -> None:
    content_hash = helpers.get_archive().store(io.BytesIO(TEXT))
    assert openaleph.server is not None
    (blob,) = (path for path in openaleph.server.state.rglob(content_hash) if path.is_file())
    blob.chmod(0o600)
    blob.write_bytes(TEXT[:-1] + b"!")
    (reference,) = file_job("t", content_hash).get_file_references()
    for enter in (reference.open, reference.get_localpath):
        with pytest.raises((BlobDamagedError, ConnectionError)), enter():
            raise AssertionError("entered")
    assert openaleph.left() == []


def test_a_large_file_is_never_held(openaleph: OpenAlephCase) -> None:
    archive = helpers.get_archive()
    large = openaleph.folder / "large"
    with large.open("wb") as file:
        for n in range(96):
            file.write(bytes([n]) * (1 << 20))
    openaleph.write(
        """
        import resource

        @task(app=app)
        def my_task(job: DatasetJob):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for reference in job.get_file_references():
                with reference.get_localpath() as path:
                    note(path.stat().st_size)
                with reference.open() as file:
                    note(sum(len(piece) for piece in iter(lambda: file.read(1 << 20), b"")))
            note((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
        """
    )
    file_job("mylib.my_task", archive.archive_file(large)).defer(openaleph.app)
    openaleph.work()
    size, read, grown = map(int, openaleph.notes())
    assert size == read == 96 << 20
    assert grown < 48
