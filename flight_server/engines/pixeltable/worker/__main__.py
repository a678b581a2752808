"""The process that holds Pixeltable, started by the server with one end of a socket.

Its first line says which home to open; a line answers that, and from then on each request comes
as a socket of its own. At the end of that socket the server has ended, and so does this.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys

from flight_server.engines.pixeltable.channel import failure_of
from flight_server.engines.pixeltable.worker import failures
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.requests import serve
from flight_server.errors import PixelflightError

# What takes the interpreter for seconds gives way to those who read the lake meanwhile.
NICENESS = 5


def main(descriptor: int) -> None:
    """Opens the home, and answers until the server ends."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    with socket.socket(fileno=descriptor) as control:
        lines = control.makefile("rwb")
        given = json.loads(lines.readline())
        try:
            home = Home(**given)
        except Exception as error:
            told = error if isinstance(error, PixelflightError) else failures.of_start(error)
            lines.write(json.dumps({"failure": failure_of(told)}).encode() + b"\n")
            lines.flush()
            return
        try:
            lines.write(json.dumps(home.about).encode() + b"\n")
            lines.flush()
            # Its threads inherit this, and PostgreSQL, which was started before, does not.
            os.nice(NICENESS)
            serve(control, home)
        finally:
            home.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
