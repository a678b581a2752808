"""Freed memory is kept for the next message."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

from flight_server.cli.allocator import keep_freed_memory

BLOCKS, BLOCK_BYTES = 5, 8 * 2**20

SCRIPT = """
import ctypes, resource
from flight_server.cli.allocator import keep_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.memset.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
libc.free.argtypes = (ctypes.c_void_p,)
if {kept}:
    assert keep_freed_memory()

def fault():
    for _ in range(10):
        blocks = [libc.malloc({size}) for _ in range({blocks})]
        for block in blocks:
            libc.memset(block, 1, {size})
        for block in blocks:
            libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

began = fault()
print(fault() - began)
"""


def faults(kept: bool) -> int:
    """How many pages had to be made anew for blocks that came and went ten times."""
    script = SCRIPT.format(kept=kept, size=BLOCK_BYTES, blocks=BLOCKS)
    command = [sys.executable, "-c", script]
    # glibc's own settings would stand above what is measured.
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={})
    return int(done.stdout)


def test_pages_are_used_again() -> None:
    if platform.libc_ver()[0] != "glibc":
        assert not keep_freed_memory(), "others have no mallopt"
        return
    pages = BLOCKS * BLOCK_BYTES // resource.getpagesize()
    assert faults(False) > 5 * pages
    assert faults(True) < pages
