"""The way in: `pixelflight …` and `python -m flight_server …`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    # gRPC reads this once, when it is loaded: what it would say is in our own messages.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from flight_server.cli.app import run

        sys.exit(run())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
