"""Debian's Chromium without a window, driven over a pipe with the DevTools protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

ANSWER_DEADLINE_S = 60.0


def chromium() -> str | None:
    """The browser, None when there is none."""
    return shutil.which("chromium")


class Browser:
    """One page. What its console, its log and its network say is kept for the test."""

    def __init__(self, profile: Path) -> None:
        program = chromium()
        assert program
        its_in, our_out = os.pipe()
        our_in, its_out = os.pipe()
        # The browser speaks on descriptors 3 and 4, whatever they are here.
        script = f'exec 3<&{its_in} 4>&{its_out}; exec "$@"'
        self.process = subprocess.Popen(
            [
                "bash",
                "-c",
                script,
                "bash",
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                "--window-size=1280,900",
                "about:blank",
            ],
            pass_fds=(its_in, its_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_in)
        os.close(its_out)
        self._out = our_out
        self._in = our_in
        self._next = 0
        self._session: str | None = None
        self._changed = threading.Condition()
        self._answers: dict[int, Any] = {}
        self._ended = False
        self.loaded = False
        #: Complaints: errors in the console and the log, exceptions, breaches of the policy.
        self.complaints: list[str] = []
        #: Addresses that the page asked for.
        self.requests: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{part}.enable")

    def _read(self) -> None:
        rest = b""
        while piece := os.read(self._in, 1 << 16):
            *messages, rest = (rest + piece).split(b"\0")
            for message in messages:
                self._take(json.loads(message))
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        method, told = message.get("method"), message.get("params", {})
        with self._changed:
            if "id" in message:
                self._answers[message["id"]] = message
            elif method == "Page.loadEventFired":
                self.loaded = True
            elif method == "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            elif method == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(told["exceptionDetails"]))
            elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
                self.complaints.append(told["entry"]["text"])
            elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
                self.complaints.append(json.dumps(told["args"]))
            self._changed.notify_all()

    def call(self, method: str, **params: Any) -> Any:
        """One command and its answer."""
        self._next += 1
        message: dict[str, Any] = {"id": self._next, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        number = self._next
        with self._changed:
            done = self._changed.wait_for(
                lambda: number in self._answers or self._ended, ANSWER_DEADLINE_S
            )
            assert done and number in self._answers, f"no answer to {method}"
            answer = self._answers.pop(number)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, url: str) -> None:
        """Goes there and waits until the page and its script are loaded."""
        self.loaded = False
        self.call("Page.navigate", url=url)
        with self._changed:
            assert self._changed.wait_for(lambda: self.loaded, ANSWER_DEADLINE_S)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        told = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, condition: str) -> Any:
        """Waits until the expression is true; the page says so by itself when it changes."""
        return self.run(
            f"""new Promise((resolve) => {{
                const look = () => {{
                    const value = {condition};
                    if (value) {{ watch.disconnect(); resolve(value); }}
                }};
                const watch = new MutationObserver(look);
                watch.observe(document, {{
                    subtree: true, childList: true, characterData: true, attributes: true }});
                look();
            }})"""
        )

    def press(self, key: str, text: str = "") -> None:
        """One key, as from a keyboard."""
        codes = {"Tab": 9, "Enter": 13}
        more = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, **more)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def close(self) -> None:
        os.close(self._out)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(10)
        os.close(self._in)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
