"""A bound on the memory of this process: what a file does not say, it cannot take.

A small part of a file may unpack to any size before anybody sees how large it is. Beyond the bound
the system gives no more, and libraries raise what becomes LimitExceeded here.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from flight_server.errors import ErrorCode, LimitExceeded

_STATUS = Path("/proc/self/status")


@contextmanager
def bounded_memory(bytes_more: int) -> Iterator[None]:
    """For a block this process may take so many bytes more than it has. LimitExceeded (too_large).

    Only Linux can be told so; elsewhere nothing is bounded.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    taken = _data_bytes()
    try:
        if taken is not None:
            resource.setrlimit(
                resource.RLIMIT_DATA, (_least(taken + bytes_more, before[1]), before[1])
            )
        yield
    except (MemoryError, pa.ArrowMemoryError):
        raise LimitExceeded(
            f"The file needs more than {bytes_more} bytes of memory to be read: it is damaged, or "
            "its parts are too large. Write it in smaller groups of rows.",
            code=ErrorCode.TOO_LARGE,
            details={"limit": bytes_more},
        ) from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _least(wanted: int, hard: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _data_bytes() -> int | None:
    if not sys.platform.startswith("linux"):
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return None
