"""python -m penstock.flow.context_file check|load|save FILE [--server URL --flow NAME] [--key KEY]

Carries a flow's context from and to a file, a pickled dictionary. `check` reads the file and does
nothing else; `load` adds what is in the file, which need not be there; `save` writes all of it,
whole or not at all.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
from typing import Any

from .context import PICKLE_PROTOCOL, Context


def read_file(path: str) -> dict[Any, Any]:
    """An empty one when there is no file. ValueError: what is there is no pickled dictionary."""
    try:
        with open(path, "rb") as file:
            found = pickle.load(file)
    except FileNotFoundError:
        return {}
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no pickled dictionary but a {type(found).__name__}")
    return found


def write_file(path: str, values: dict[Any, Any]) -> None:
    beside = f"{path}.tmp"
    with open(beside, "wb") as file:
        pickle.dump(values, file, PICKLE_PROTOCOL)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m penstock.flow.context_file")
    parser.add_argument("verb", choices=("check", "load", "save"))
    parser.add_argument("file")
    parser.add_argument("--server", default="", metavar="URL")
    parser.add_argument("--flow", default="", metavar="NAME", help="or @ID")
    parser.add_argument("--key", default=os.environ.get("PENSTOCK_KEY"))
    args = parser.parse_args()
    if args.verb != "check" and not (args.server and args.flow):
        parser.error(f"{args.verb}: --server and --flow are needed")
    try:
        if args.verb == "check":
            read_file(args.file)
            return 0
        flow = int(args.flow[1:]) if args.flow.startswith("@") else args.flow
        context = Context(args.server, flow, key=args.key)
        if args.verb == "load":
            for key, value in read_file(args.file).items():
                context[key] = value
        else:
            write_file(args.file, dict(context.items()))
    except Exception as error:
        print(f"context: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
