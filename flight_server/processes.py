"""What processes that the server starts find around them."""

from __future__ import annotations

import os
from pathlib import Path


def environment() -> dict[str, str]:
    """The server's own, with this very package where Python looks for packages first."""
    here = str(Path(__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{known}" if known else here}
