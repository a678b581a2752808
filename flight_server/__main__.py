"""The way in: `pixelflight …` and `python -m flight_server …`."""

from __future__ import annotations

import sys

from flight_server.cli.app import run


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
