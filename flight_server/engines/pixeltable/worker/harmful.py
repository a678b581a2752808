"""Which arguments of functions reach out of what is computed, or make it endless."""

from __future__ import annotations

import re
from typing import Any

from pixeltable import type_system as types
from pixeltable.exprs import Expr

from flight_server.engines.pixeltable.worker.functions import Known

# What texts and images may be made to be.
LENGTH_MAX = 10_000
# Arguments that are options of programs, or name files of this machine.
_UNSAFE_ARGUMENTS = frozenset({"video_encoder_args", "font"})
# What is handed to FFmpeg within a larger text.
_PLAIN_TEXT = re.compile(r"[\w #@.-]*")


def harm(known: Known, name: str, value: Any, kind: types.ColumnType | None) -> str | None:
    """Why an argument may not be what it is, None where it may."""
    if known.admitted or known.provider is not None:
        return None
    if name in _UNSAFE_ARGUMENTS:
        return "is left out: it reaches out of what is computed"
    is_length = name in ("width", "n", "size", "factor") or name.endswith("_size")
    if is_length and known.name.partition(".")[0] in ("string", "image"):
        sizes = value if isinstance(value, list) else [value]
        if any(not isinstance(one, int | float) or one > LENGTH_MAX for one in sizes):
            return f"is a number of at most {LENGTH_MAX}, and computed of nothing"
    if known.name.partition(".")[0] in ("video", "audio") or name == "video_encoder":
        if kind is not None and kind.is_string_type() and not _is_plain(value):
            return "is a text of letters, digits, and any of ' #@.-'"
        if kind is not None and kind.is_json_type() and not _is_of_media_or_numbers(value):
            return "is a list of numbers or of columns of media"
    return None


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and _PLAIN_TEXT.fullmatch(value) is not None


def _is_of_media_or_numbers(value: Any) -> bool:
    """No text is taken for the name of a file."""
    return isinstance(value, list) and all(
        one.col_type.is_media_type() or one.col_type.is_numeric_type()
        if isinstance(one, Expr)
        else isinstance(one, int | float)
        for one in value
    )
