"""`python -m skysift` is the command `skysift`."""

import sys


def main() -> int:
    """Run a command; Ctrl-C stops it in order even while it is being imported."""
    try:
        from skysift.cli.program import main as run

        return run()
    except KeyboardInterrupt:
        print("skysift: stopped: by Ctrl-C; nothing was begun.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
