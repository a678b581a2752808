"""Imports: whether they may be, and a first look at what they would do.

A file that somebody names is not read in the server's own process: it may be made to harm whoever
reads it. A first look is taken by a process of its own, with bounds on its memory and its time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import SupportsTables, require
from flight_server.errors import (
    ErrorCode,
    InvalidRequest,
    NotFound,
    PixelflightError,
    TimedOut,
    Unavailable,
)
from flight_server.model import IngestMode, NamespaceRef, TableRef
from flight_server.operations.authorise import hide_internal, may_in_namespace, permitted
from flight_server.operations.row_reads import writable_schema
from flight_server.operations.services import Call, Services, engine_of

PREVIEW_SECONDS_MAX = 60.0
_STEP_SECONDS = 0.2
_LOOKING = "flight_server.worker.previewing"


def import_target(
    services: Services, call: Call, table: TableRef, mode: IngestMode, create_if_missing: bool
) -> tuple[pa.Schema | None, frozenset[str]]:
    """The columns of the table that may be written to, None where it is to be made; and defaults.

    NotFound; Forbidden.
    """
    hide_internal(table)
    if mode is not IngestMode.CREATE:
        try:
            known = writable_schema(services, call, table)
            spec = permitted(services, call, table, Action.INSERT).version.spec
            return known, frozenset(spec.defaults)
        except NotFound as error:
            if error.code is not ErrorCode.TABLE_NOT_FOUND or not create_if_missing:
                raise
    may_in_namespace(services, call, NamespaceRef(table.catalog, table.namespace), Action.CREATE)
    require(engine_of(services, call, table.catalog), SupportsTables)
    return None, frozenset()


def preview(services: Services, call: Call, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a process of its own answers to what is asked; see `worker.previewing`.

    Its error is raised here. TimedOut; Unavailable where too many run at once.
    """
    places = services.previews
    if not places.acquire(blocking=False):
        raise Unavailable("As many previews as may be are being made: try again in a moment.")
    try:
        with tempfile.TemporaryDirectory(prefix="pixelflight-preview-") as folder:
            return _asked(call, {**asked, "folder": folder})
    finally:
        places.release()


def _asked(call: Call, asked: Mapping[str, Any]) -> dict[str, Any]:
    process = subprocess.Popen(
        [sys.executable, "-m", _LOOKING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        said = _said(call, process, json.dumps(asked).encode())
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        raise InvalidRequest(
            "The file cannot be read: reading it ended the process that did. It is damaged, or its "
            "parts are too large.",
            code=ErrorCode.INVALID_DATA,
        ) from None
    if "error" in answer:
        told = answer["error"]
        code = ErrorCode.__members__[told["code"].upper()]
        raise PixelflightError(told["message"], code=code, details=told["details"])
    return answer


def _said(call: Call, process: subprocess.Popen[bytes], asked: bytes) -> bytes:
    waited = 0.0
    given: bytes | None = asked
    while True:
        call.cancellation.check()
        try:
            said, _ = process.communicate(given, timeout=_STEP_SECONDS)
            return said
        except subprocess.TimeoutExpired:
            given = None
            waited += _STEP_SECONDS
            if waited > PREVIEW_SECONDS_MAX:
                raise TimedOut(
                    f"A look at the file took longer than {PREVIEW_SECONDS_MAX:.0f} seconds."
                ) from None
