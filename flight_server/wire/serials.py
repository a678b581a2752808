"""Names that no process gives twice, made without a random number for each."""

from __future__ import annotations

import itertools
import secrets

_PROCESS, _NUMBERS = secrets.token_hex(6), itertools.count(1)


def serial() -> str:
    """A new name, such as `5f24d5b223c8-7`. It can be guessed: nothing may hang on knowing it.

    Random bytes come from the kernel, and while they do the interpreter's lock is given away.
    """
    return f"{_PROCESS}-{next(_NUMBERS)}"
