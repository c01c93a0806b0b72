"""Builds the wheel, with the `penstock` program in it as the command of that name.

The program is the one that $PENSTOCK_BINARY names, else the tree's own build/penstock (`make
build`). It is linked against the system's libraries, so the wheel is for systems like the one it
was made on, whatever their Python. PENSTOCK_BINARY=none makes a wheel of the Python part alone.
"""

import os
from pathlib import Path

from setuptools import setup  # before distutils, of which it brings its own

from distutils.command.build_scripts import build_scripts  # isort: skip

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # before setuptools 70
    from wheel.bdist_wheel import bdist_wheel

HERE = Path(__file__).resolve().parent


def binary():
    """The program to take along; None for none."""
    named = os.environ.get("PENSTOCK_BINARY", "")
    if named == "none":
        return None
    path = Path(named) if named else HERE.parent / "build" / "penstock"
    if not path.is_file():
        raise SystemExit(
            f"{path} is not there: build the program first (make build), name it in"
            " PENSTOCK_BINARY, or set that to none for the Python part alone"
        )
    return path


class CopyProgram(build_scripts):
    """A script here is a program: it is copied as it is."""

    def run(self):
        self.mkpath(self.build_dir)
        copied = str(Path(self.build_dir) / "penstock")
        self.copy_file(str(PROGRAM), copied)
        Path(copied).chmod(0o755)
        return [copied], [copied]


class PlatformWheel(bdist_wheel):
    """For this platform, and any Python 3."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = PROGRAM is None

    def get_tag(self):
        _, _, platform = super().get_tag()
        return "py3", "none", platform


PROGRAM = binary()
COMMANDS = {"bdist_wheel": PlatformWheel, "build_scripts": CopyProgram}
if PROGRAM is None:
    setup(cmdclass={"bdist_wheel": PlatformWheel})
else:
    setup(scripts=[os.path.relpath(PROGRAM, HERE)], cmdclass=COMMANDS)
