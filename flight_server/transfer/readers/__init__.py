"""Files as batches in bounded memory, format by format; what does not fit is told row by row.

Each reader first looks at the beginning (`probe`), then reads what a plan asks for, in blocks. A
block that is all right is read by Arrow as a whole; one that is not is taken apart.
"""

from flight_server.transfer.readers.base import (
    Block,
    Plan,
    Probe,
    Reader,
    ReadOptions,
    Reject,
)
from flight_server.transfer.readers.opening import open_reader

__all__ = ["Block", "Plan", "Probe", "ReadOptions", "Reader", "Reject", "open_reader"]
