"""Asks the person at the terminal, from a process that is not in front there."""

from __future__ import annotations

import os
import signal


def ask(prompt: str) -> str:
    """Prints the prompt on /dev/tty, returns the line typed. OSError: there is no terminal.

    An attempt leads a process group of its own, which the terminal does not listen to: it steps in
    front for as long as it asks. EOFError: the input ended.
    """
    fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        before = os.tcgetpgrp(fd)
        # To step in front from behind would stop the process otherwise.
        kept = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            os.tcsetpgrp(fd, os.getpgrp())
            os.write(fd, prompt.encode())
            return _line(fd)
        finally:
            os.tcsetpgrp(fd, before)
            signal.signal(signal.SIGTTOU, kept)
    finally:
        os.close(fd)


def _line(fd: int) -> str:
    typed = b""
    while not typed.endswith(b"\n"):
        more = os.read(fd, 4096)
        if not more:
            break
        typed += more
    if not typed:
        raise EOFError("nothing was typed")
    return typed.decode("utf-8", "replace").rstrip("\r\n")
