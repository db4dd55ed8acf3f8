"""`python -m sagaproof` is the `sagaproof` command."""

import sys

from sagaproof.cli import main

sys.exit(main())
