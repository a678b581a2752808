"""A worker that the server has started: told everything by its standard input."""

from __future__ import annotations

import json
import os
import threading

# gRPC reads this once, when it is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from flight_server.jobs.workers import STOP
from flight_server.settings import Settings
from flight_server.telemetry.logs import configure_logging
from flight_server.worker.process import Worker
from flight_server.worker.standing import standing_worker

STDIN = 0


def main() -> None:
    """Does jobs until the server says stop, or is gone."""
    given = json.loads(_first_line())
    settings = Settings(**given["settings"])
    if hasattr(os, "nice"):
        os.nice(settings.job_niceness)
    configure_logging(settings)
    path = settings.data / "metastore.sqlite"
    connection = {"url": given["url"]}
    idle = settings.job_idle_seconds
    with standing_worker(settings, path, connection, given["name"], idle) as worker:
        threading.Thread(target=_listen, args=(worker,), name="server", daemon=True).start()
        worker.run()


def _listen(worker: Worker) -> None:
    while said := os.read(STDIN, 4096):
        if STOP in said:
            worker.stop()
            return
        worker.wake()
    worker.abandon()
    os._exit(0)


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(STDIN, 1)
        if not more:
            raise SystemExit("A worker is started by its server, or by 'pixelflight worker'.")
        line += more
    return line


if __name__ == "__main__":
    main()
