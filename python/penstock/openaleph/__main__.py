"""`python -m penstock.openaleph`, which is `penstock openaleph`."""

import sys

try:
    from .cli import main
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] not in ("followthemoney", "pydantic"):
        raise
    sys.exit(
        f"penstock openaleph: {sys.executable} has no {missing.name}:"
        " pip install 'penstock[openaleph]'"
    )

sys.exit(main())
