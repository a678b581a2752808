"""What plain Pixeltable does with rows that were copied, and with its own.

Run as a program of its own, `python -m tests.multimodal.copied_rows HOME`: it makes the table
`theirs` as `ours` was made, and then does the same to either.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

ROWS = 300


def rows() -> dict[str, list[Any]]:
    """Rows by their columns, with nulls and texts that indexes cut short."""
    return {
        "id": list(range(ROWS)),
        "x": [n / 3 if n % 7 else None for n in range(ROWS)],
        "text": [f"{n % 9}" * n if n % 5 else None for n in range(ROWS)],
    }


def main(home: str) -> None:
    os.environ["PIXELTABLE_HOME"] = home
    os.environ["PIXELTABLE_VERBOSITY"] = "0"
    import pixeltable as pxt

    columns = {"id": pxt.Int, "x": pxt.Float | None, "text": pxt.String | None}
    theirs = pxt.create_table("theirs", columns, primary_key="id")
    theirs.add_btree_index("text", idx_name="by_text")
    theirs.insert(
        [dict(zip(rows(), row, strict=True)) for row in zip(*rows().values(), strict=True)]
    )
    told = [changed(pxt, name) for name in ("theirs", "ours")]
    print(json.dumps(told))


def changed(pxt: Any, name: str) -> list[Any]:
    """What a table answers after each of some changes."""
    table = pxt.get_table(name)
    answers = [answer(table)]
    snapshot = pxt.create_snapshot(f"{name}_then", table)
    table.update({"text": "set"}, where=table.id < 20)
    answers.append(answer(table))
    table.delete(where=table.text == "4" * 49)
    table.insert([{"id": ROWS, "x": 1.0, "text": "late"}])
    table.batch_update([{"id": 77, "text": "b" * 300}])
    answers.append(answer(table))
    table.revert()
    answers += [answer(table), answer(snapshot)]
    return answers


def answer(table: Any) -> list[Any]:
    found = table.where(table.text >= "4").order_by(table.id).collect()
    history = [(one["version"], one["change_type"], one["inserts"]) for one in table.get_versions()]
    return [[list(row.values()) for row in found], history, table.count()]


if __name__ == "__main__":
    main(sys.argv[1])
