"""Makes a venv for each peer, because they need libraries that must not meet ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.processes import ROOT

PACKAGES = {
    "quack": (
        "duckdb==1.5.5",
        "duckdb-extensions",
        "duckdb-extension-quack==1.5.5",
        "pyarrow==26.*",
    ),
    "roapi": ("roapi==0.12.7",),
    "pixeltable": ("pixeltable==0.7.21", "fastapi", "uvicorn"),
}
MISSING = "not measured: run make bench-peers"


def executable(peer: str, program: str) -> Path:
    """A program of a peer's venv."""
    return ROOT / f".venv-{peer}" / "bin" / program


def is_installed(peer: str) -> bool:
    """Whether the peer's venv was made to its end."""
    return _mark(peer).exists() and _mark(peer).read_text("utf-8") == _wanted(peer)


def install(peer: str) -> None:
    """Makes the peer's venv, unless it is there."""
    if is_installed(peer):
        print(f".venv-{peer} is there.")
        return
    print(f"Making .venv-{peer} ...", flush=True)
    folder = ROOT / f".venv-{peer}"
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(executable(peer, "python")), "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "install", *PACKAGES[peer]], check=True)
    _mark(peer).write_text(_wanted(peer), "utf-8")


def _mark(peer: str) -> Path:
    """Written last, so that a venv whose making was broken off is made again."""
    return ROOT / f".venv-{peer}" / "installed.txt"


def _wanted(peer: str) -> str:
    return "\n".join(PACKAGES[peer])


if __name__ == "__main__":
    for name in PACKAGES:
        install(name)
