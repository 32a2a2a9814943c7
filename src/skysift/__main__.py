"""`python -m skysift` is the command `skysift`."""

import sys

from skysift.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
