"""JSON lines: one object a line, read in blocks; fields and types from a sample or the table."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.json

from flight_server.cli.formats.files import InputFile, check_text
from flight_server.cli.formats.kinds import Hints
from flight_server.errors import ErrorCode, InvalidRequest

SAMPLE_BYTES = 16 * 2**20
BLOCK_BYTES = 8 * 2**20


def open_json_lines(file: InputFile, hints: Hints) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The schema and the batches of a file of JSON objects, one a line.

    InvalidRequest (invalid_data) names the file and the line that does not fit.
    """
    sample = file.sample(SAMPLE_BYTES)
    check_text(file, sample)
    start = sample.lstrip()[:1]
    if not start:
        raise _invalid(f"{file} is empty; nothing tells its columns.")
    if start == b"[":
        raise _invalid(
            f"{file} holds one JSON array. Write one object a line: jq -c '.[]' {file.path}"
        )
    if len(sample) == SAMPLE_BYTES:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    inferred = _inferred(file, sample, hints)
    schema = pa.schema([(f.name, hints.type_of(f.name, f.type)) for f in inferred])
    return schema, _batches(file, schema)


def _batches(file: InputFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        yield from pa.json.open_json(
            file.open(),
            read_options=pa.json.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=pa.json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="error"
            ),
        )
    except pa.lib.ArrowInvalid as error:
        raise _invalid(_explain(str(error), file, schema)) from None


def _inferred(file: InputFile, sample: bytes, hints: Hints) -> pa.Schema:
    chosen = pa.schema(list(hints.chosen.items()))
    try:
        return pa.json.read_json(
            io.BytesIO(sample),
            read_options=pa.json.ReadOptions(block_size=len(sample) + 1, use_threads=False),
            parse_options=pa.json.ParseOptions(explicit_schema=chosen),
        ).schema
    except pa.lib.ArrowInvalid as error:
        raise _invalid(_explain(str(error), file, None)) from None


def _explain(message: str, file: InputFile, schema: pa.Schema | None) -> str:
    if "straddl" in message:
        return f"{file} holds a line longer than {BLOCK_BYTES} bytes. Write one object a line."
    if line := _find(file, lambda text: not _is_object(text)):
        return f"{file}{line}: this is not a JSON object."
    if schema is not None and "unexpected field" in message:
        names = set(schema.names)
        line = _find(file, lambda text: bool(set(json.loads(text)) - names))
        return f"{file}{line}: a field that the first lines do not have. Known: {sorted(names)}."
    what = message.removeprefix("JSON parse error: ").splitlines()[0]
    return (
        f"{file} cannot be read as JSON lines: {what}. Choose a type that holds all values with "
        "--type 'COLUMN=TYPE'."
    )


def _find(file: InputFile, is_wrong: Callable[[str], bool]) -> str:
    if file.is_stdin:
        return ""
    stream: Any = io.BufferedReader(file.open(), 2**20)
    with io.TextIOWrapper(stream, "utf-8", "replace") as text:
        for number, line in enumerate(text, 1):
            if line.strip() and is_wrong(line):
                return f", line {number}"
    return ""


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code=ErrorCode.INVALID_DATA)
