"""python -m penstock.steps register TARGET...: what `penstock step register` does with Python."""

from __future__ import annotations

import argparse
import json
import os
import ssl
import sys
import traceback
from pathlib import Path

from ..client import Client
from ..errors import ConnectionLostError, InvalidError, PenstockError
from ..runtime.target import TargetError, load_steps
from .app import register
from .declare import AnyStep, by_key

USAGE = 2
AGAIN = 75


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m penstock.steps", description=__doc__)
    parser.add_argument("verb", choices=["register", "manifest"])
    parser.add_argument("targets", nargs="+", help="steps.py, module:step, module:*")
    parser.add_argument("--server", help="its address")
    parser.add_argument("--key", help="API key, or @FILE that holds it")
    parser.add_argument("--ca", help="certificates to trust")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    try:
        return _run(args)
    except (TargetError, InvalidError) as error:
        return _failed(str(error), USAGE)
    except ConnectionLostError as error:
        return _failed(str(error), AGAIN)
    except (PenstockError, OSError) as error:
        return _failed(str(error), 1)


def _run(args: argparse.Namespace) -> int:
    steps = list(by_key(step for target in args.targets for step in _load(target)).values())
    if args.verb == "manifest":
        for step in steps:
            print(json.dumps(step.manifest(), ensure_ascii=False))
        return 0
    server = args.server or os.environ.get("PENSTOCK_SERVER")
    if not server:
        raise InvalidError("no server is named")
    tls = ssl.create_default_context(cafile=args.ca) if args.ca else None
    with Client(server, _secret(args.key or os.environ.get("PENSTOCK_KEY")), tls=tls) as client:
        for step, id, existing in register(steps, client):
            if args.json:
                print(json.dumps({"step": step.key, "id": id, "existing": existing}))
            else:
                was = "was registered before" if existing else "is registered"
                print(f"{step.key} {was}", file=sys.stderr)
                print(id)
    return 0


def _load(target: str) -> list[AnyStep]:
    try:
        return load_steps(target)
    except TargetError:
        raise
    except BaseException as error:
        # Whatever stands in somebody's file.
        traceback.print_exc()
        text = f"{target} cannot be imported: {type(error).__name__}: {error}"
        raise TargetError(text) from error


def _secret(text: str | None) -> str | None:
    """The key, or what is in the file that is named for it."""
    if not text or not text.startswith("@"):
        return text or None
    return Path(text[1:]).read_text(encoding="utf-8").strip()


def _failed(text: str, status: int) -> int:
    print(f"penstock: {text}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
