"""ShellWorker: a command of the shell as a node."""

from __future__ import annotations

from .worker import Worker


class ShellWorker(Worker):
    """Runs the first of ARGUMENTS in a shell, to which the others are $0, $1 and so on.

    What it prints goes to the logger line by line. Its status is the node's; of one that a signal
    ended, 128 and the signal's number, as a shell says it.
    """

    def run(self) -> int:
        # Here, for it brings threading along, which each fork would have to set right.
        import subprocess

        if not self.argv:
            raise ValueError("a ShellWorker needs a command in ARGUMENTS")
        with subprocess.Popen(
            ["/bin/sh", "-c", *self.argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as program:
            assert program.stdout is not None
            for line in program.stdout:
                self.logger.info(line.rstrip(b"\r\n").decode("utf-8", "backslashreplace"))
        status = program.returncode
        return status if status >= 0 else 128 - status
