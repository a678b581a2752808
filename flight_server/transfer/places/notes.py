"""Notes of results that are being published, for whoever finds them after a kill.

A note is locked by the process that publishes. One that is not is left over: what it names is
removed, and then the note.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from flight_server.errors import PixelflightError
from flight_server.settings import Settings
from flight_server.transfer.places.choosing import DOWNLOADS, Target, place_of

FOLDER = "unfinished"

log = logging.getLogger(__name__)


@contextlib.contextmanager
def noted(
    settings: Settings, job_id: str, target: Target | None, names: tuple[str, ...]
) -> Iterator[None]:
    """Keeps a note while the block runs, and after it only where the process was ended in it."""
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{job_id}.json"
    note = {"job_id": job_id, "target": target and target.as_json(), "names": names}
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def sweep(settings: Settings) -> int:
    """Removes what each note names that nobody holds, and the note; how many there were."""
    found = 0
    for path in sorted(_folder(settings).glob("*.json")):
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if _is_cleaned(settings, file.read()):
                path.unlink(missing_ok=True)
                found += 1
    return found


def _is_cleaned(settings: Settings, text: str) -> bool:
    try:
        note = json.loads(text)
    except ValueError:
        # It was not written to its end, so nothing had begun.
        return True
    try:
        target = None if note["target"] is None else Target(**note["target"])
        place_of(settings, note["job_id"], target).clean(tuple(note["names"]))
    except PixelflightError as error:
        # Another time; or never, where the operator allows the destination no longer.
        log.warning("what the export %s has left is not removed: %s", note["job_id"], error.message)
        return False
    return True


def _folder(settings: Settings) -> Path:
    return settings.data / DOWNLOADS / FOLDER
