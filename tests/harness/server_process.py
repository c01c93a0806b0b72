"""A `penstock serve` on its own port and folders, started, killed and started again by tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent
URL = re.compile(r"https?://[^\s\"'<>]+:\d+")
START_DEADLINE_S = 60.0


def binary() -> str:
    """The program under test: $PENSTOCK_BIN, else the test build's, with faults in it."""
    return os.environ.get("PENSTOCK_BIN") or str(ROOT / "build-test" / "penstock")


class NotStarted(Exception):
    """The server ended, or said nothing, before it told its URL. The text is what it printed."""


class ServerProcess:
    """One server. Its output is read by a thread of ours, so that a full pipe never blocks it."""

    def __init__(
        self,
        folder: Path,
        *args: str,
        env: dict[str, str] | None = None,
        data: Path | None = None,
    ) -> None:
        self.folder = folder
        self.data = data or folder / "data"
        self.state = folder / "state"
        folder.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(parents=True, exist_ok=True)
        self.args = list(args)
        self.env = dict(env or {})
        self.url = ""
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self._told = threading.Event()
        self._reader: threading.Thread | None = None

    def start(self, *, env: dict[str, str] | None = None, wait: bool = True) -> ServerProcess:
        """Starts it (on the port it had before, if any) and waits until it tells its URL."""
        self._told = threading.Event()
        self.process = subprocess.Popen(
            [
                binary(),
                "serve",
                "--port",
                str(self.port),
                "--data",
                str(self.data),
                "--state",
                str(self.state),
                *self.args,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **self.env, **(env or {})},
        )
        self._reader = threading.Thread(
            target=self._read, args=(self.process, self._told), daemon=True
        )
        self._reader.start()
        if wait:
            self.wait_ready()
        return self

    def _read(self, process: subprocess.Popen[str], told: threading.Event) -> None:
        assert process.stdout
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            found = URL.search(line)
            if found and not told.is_set():
                self.url = found.group(0)
                told.set()
        told.set()  # the end of the output: it is over, whether it told its URL or not

    def wait_ready(self) -> None:
        assert self.process
        self.url = self.url if self._told.is_set() else ""
        self._told.wait(START_DEADLINE_S)
        if not self.url:
            self.kill()
            raise NotStarted(self.log())
        self.port = urlsplit(self.url).port or 0

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        return "\n".join(self.lines)

    def info(self) -> dict[str, object]:
        """What it wrote about itself into the state folder."""
        return dict(json.loads((self.state / "server.json").read_text()))

    def kill(self) -> None:
        """SIGKILL: what a power cut or the kernel's memory killer leaves behind."""
        if self.alive():
            assert self.process
            self.process.send_signal(signal.SIGKILL)
        self.join()

    def stop(self) -> int:
        """SIGTERM, the polite way. Returns the exit status."""
        assert self.process
        if self.alive():
            self.process.terminate()
        return self.join()

    def join(self, timeout: float = 60.0) -> int:
        """Waits for its end, however it comes."""
        if not self.process:
            return 0
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if self._reader:
            self._reader.join(10)
        if self.process.stdout and self._reader and not self._reader.is_alive():
            self.process.stdout.close()
        return status

    def restart(self, *, env: dict[str, str] | None = None) -> ServerProcess:
        """SIGKILL, then the same again on the same port and folders."""
        self.kill()
        return self.start(env=env)

    def rss_bytes(self) -> int:
        """Resident memory now."""
        return self._status_kb("VmRSS") * 1024

    def peak_rss_bytes(self) -> int:
        return self._status_kb("VmHWM") * 1024

    def _status_kb(self, key: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise KeyError(key)

    def cpu_s(self) -> float:
        """User and system time it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run_cli(self, *args: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """A command of the program against this server's state folder."""
        return subprocess.run(
            [binary(), *args, "--state", str(self.state)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            check=False,
        )
