"""`python -m harness.environments.kubernetes.shop DIRECTORY`: write the build context of the shop's image."""

import sys
from pathlib import Path

from harness.environments.kubernetes.shop import write_context

if len(sys.argv) != 2:
    sys.exit("usage: python -m harness.environments.kubernetes.shop DIRECTORY")
write_context(Path(sys.argv[1]))
