"""One sheet of a workbook as text: `python -m flight_server.transfer.readers.workbooks`.

A sheet is loaded whole, and where its cells are more than memory holds, the library ends its
process. So it has one of its own, which is asked on standard input as JSON, leaves the cells in a
file of Arrow and answers on standard output. What bounds the memory of whoever starts it bounds
this process, too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from flight_server.errors import (
    ErrorCode,
    InvalidRequest,
    LimitExceeded,
    PixelflightError,
    TimedOut,
    did_you_mean,
)
from flight_server.transfer.readers.base import ReadOptions

SECONDS_MAX = 600
# What the process ends with where it has noticed that there is no memory left.
_NO_MEMORY = 3
_ERROR = re.compile(r"got 'Error\((\w+)\)'")
_MEANINGS = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
}


@dataclass(frozen=True)
class Sheet:
    """The cells as text, and the errors that stand in some, by row and column."""

    texts: pa.RecordBatch
    errors: Mapping[tuple[int, int], str]


def read_sheet(path: Path, name: str, options: ReadOptions) -> Sheet:
    """The sheet of a workbook, which messages call `name`.

    InvalidRequest; LimitExceeded where it has more cells than memory holds; TimedOut.
    """
    target = path.with_suffix(".arrow")
    asked = {"path": str(path), "target": str(target), "name": name, "options": asdict(options)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimedOut(f"{name} was not read within {SECONDS_MAX} seconds.") from None
    if done.returncode > 0 and done.returncode != _NO_MEMORY:
        raise unreadable(name, ValueError("its parts contradict each other"))
    if done.returncode:
        raise LimitExceeded(
            f"{name} needs more memory than one file may take: sheets are read whole, and this one "
            "has very many cells, or one that stands far away from the others. Save it as CSV.",
            code=ErrorCode.TOO_LARGE,
        )
    answer = json.loads(done.stdout)
    if "error" in answer:
        told = answer["error"]
        raise InvalidRequest(told["message"], code=ErrorCode.__members__[told["code"].upper()])
    texts = pa.ipc.open_file(pa.memory_map(str(target))).get_batch(0)
    return Sheet(texts, {(row, column): told for row, column, told in answer["errors"]})


def load_sheet(path: Path, name: str, options: ReadOptions) -> Sheet:
    """As `read_sheet`, in this process, which ends where memory does. InvalidRequest."""
    return _Workbook(path, name, options).sheet()


def main() -> None:
    """Answers what is asked."""
    asked = json.load(sys.stdin)
    try:
        options = ReadOptions(**asked["options"])
        sheet = load_sheet(Path(asked["path"]), asked["name"], options)
    except PixelflightError as error:
        answer: dict[str, Any] = {"error": error.as_json("")}
    except (MemoryError, pa.ArrowMemoryError):
        sys.exit(_NO_MEMORY)
    else:
        with pa.ipc.new_file(asked["target"], sheet.texts.schema) as writer:
            writer.write_batch(sheet.texts)
        answer = {"errors": [[*place, told] for place, told in sheet.errors.items()]}
    sys.stdout.write(json.dumps(answer))


class _Workbook:
    def __init__(self, path: Path, name: str, options: ReadOptions) -> None:
        import fastexcel

        self._name = name
        self._options = options
        try:
            # By the bytes, not by the name, it is found which kind of workbook it is.
            self._workbook = fastexcel.read_excel(path.read_bytes())
        except fastexcel.FastExcelError as error:
            raise unreadable(name, error) from None

    def sheet(self) -> Sheet:
        """The sheet that the options name."""
        batch, found = self._loaded("string").to_arrow_with_errors()
        if any(pc.any(_is_rounded(column)).as_py() for column in batch.columns):
            numbers, _ = self._loaded("float").to_arrow_with_errors()
            pairs = zip(batch.columns, numbers.columns, strict=True)
            exact = [_exactly(texts, one) for texts, one in pairs]
            batch = pa.RecordBatch.from_arrays(exact, schema=batch.schema)
        errors: dict[tuple[int, int], str] = {}
        for error in found.errors if found else ():
            code = _ERROR.search(error.detail)
            meaning = _MEANINGS.get(code[1], code[1]) if code else error.detail
            errors[error.offset_position] = f"the cell holds the error {meaning}"
        return Sheet(batch, errors)

    def _loaded(self, kind: Literal["string", "float"]) -> Any:
        sheet = self._options.sheet
        names = self._workbook.sheet_names
        if isinstance(sheet, int) and not 0 <= sheet < len(names):
            raise InvalidRequest(f"{self._name} has {len(names)} sheets, counted from 0.")
        if isinstance(sheet, str) and sheet not in names:
            raise InvalidRequest(
                f"{self._name} has no sheet '{sheet[:80]}'.{did_you_mean(sheet, names)} "
                f"It has {', '.join(names)[:300]}."
            )
        columns = list(self._options.columns)
        header = 0 if self._options.header and not columns else None
        skipped = self._options.skip_rows + (self._options.header and bool(columns))
        import fastexcel

        try:
            return self._workbook.load_sheet(
                sheet,
                header_row=None if header is None else self._options.skip_rows,
                column_names=columns or None,
                skip_rows=skipped if header is None else 0,
                dtypes=kind,
            )
        except fastexcel.FastExcelError as error:
            raise unreadable(self._name, error) from None


def unreadable(name: str, error: Exception) -> InvalidRequest:
    """The error of a workbook that is none."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return InvalidRequest(
        f"{name} cannot be read as Excel: {lines[0][:200].removesuffix('.')}.",
        code=ErrorCode.INVALID_DATA,
    )


def _is_rounded(texts: pa.Array) -> pa.Array:
    """Where a number may have lost digits: as text it has nine at most behind its point."""
    return pc.match_substring_regex(texts, r"^-?(0|\d+\.\d{9})$")


def _exactly(texts: pa.Array, numbers: pa.Array) -> pa.Array:
    """The texts, with all digits where they are those of a number."""
    rounded = pc.and_(_is_rounded(texts), pc.and_(numbers.is_valid(), pc.not_equal(numbers, 0)))
    if not pc.any(rounded).as_py():
        return texts
    triples = zip(texts.to_pylist(), rounded.to_pylist(), numbers.to_pylist(), strict=True)
    # What is text in the sheet and looks like another number stays as it is.
    found = [
        repr(number) if is_one and float(text) == round(number, 9) else text
        for text, is_one, number in triples
    ]
    return pa.array(found, texts.type)


if __name__ == "__main__":
    main()
