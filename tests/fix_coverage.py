"""Lines that run in threads of gRPC's are counted, too.

Coverage traces threads that Python starts. pyarrow calls handlers in threads of its own, which are
new to Python at every call. Pixeltable's own process is traced where a test's process starts it.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flight_server.processes import environment
from flight_server.wire import incoming, outgoing
from flight_server.wire.middleware import BareHandshake, Gate
from flight_server.wire.server import FlightServer
from flight_server.wire.visits import Stranger, Visit

# Where gRPC's threads come in.
ENTRANCES: tuple[tuple[Any, str], ...] = (
    (Gate, "start_call"),
    (FlightServer, "visit"),
    (Visit, "call_completed"),
    (Visit, "sending_headers"),
    (Stranger, "call_completed"),
    (Stranger, "sending_headers"),
    (BareHandshake, "authenticate"),
    (BareHandshake, "is_valid"),
    (outgoing._InContext, "__next__"),
    (incoming.Incoming, "batches"),
)


@pytest.fixture(autouse=True, scope="session")
def grpc_threads_are_traced() -> Iterator[None]:
    """While coverage traces, so do the entrances."""
    if threading.gettrace() is None:
        yield
        return
    with pytest.MonkeyPatch.context() as patched:
        for owner, name in ENTRANCES:
            patched.setattr(owner, name, _traced(getattr(owner, name)))
        yield


@pytest.fixture(autouse=True, scope="session")
def pixeltable_s_process_is_traced() -> Iterator[None]:
    """While coverage traces, so it does in the process that holds Pixeltable."""
    if threading.gettrace() is None:
        yield
        return
    root, started = Path(__file__).parents[1], "flight_server.engines.pixeltable.processes"
    traced = {
        "COVERAGE_PROCESS_START": str(root / "pyproject.toml"),
        "COVERAGE_FILE": str(root / ".coverage"),
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(f"{started}.environment", lambda: environment() | traced)
        yield


def _traced(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def entered(*arguments: Any) -> Any:
        if sys.gettrace() is None:
            sys.settrace(threading.gettrace())
        return method(*arguments)

    return entered
