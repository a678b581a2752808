"""How the C library keeps memory between the messages of a stream.

gRPC takes the memory of every message from malloc and frees it again. By default glibc gives such
blocks back to the kernel each time, which then has to clear new pages for the next message: up to
a tenth of the time of a put.
"""

from __future__ import annotations

import ctypes

# From malloc.h: the parameters of mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# Free memory at the top of a heap that is kept.
KEPT_BYTES = 64 * 2**20
# Blocks of this size and more are mapped and unmapped by themselves; batches are smaller.
MAPPED_BYTES_MIN = 16 * 2**20


def keep_freed_memory() -> bool:
    """Lets freed memory of the process be used again; False where the C library is not glibc.

    For the whole process, so it is the command's to call and not the library's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = ((_M_TRIM_THRESHOLD, KEPT_BYTES), (_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN))
    return all(mallopt(name, value) == 1 for name, value in wanted)
