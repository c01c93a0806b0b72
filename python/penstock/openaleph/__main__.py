"""`python -m penstock.openaleph`, which is `penstock openaleph`."""

import sys

from .cli import main

sys.exit(main())
