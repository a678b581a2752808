"""Statements that write, and transactions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flight_server.errors import PixelflightError


@dataclass(frozen=True)
class Executed:
    """What a statement that writes has done.

    `kind` is `insert`, `update`, `delete`, `merge`, `create_table`, `drop_table`, `alter_table`,
    `create_schema`, `drop_schema`, `begin`, `commit`, `rollback` or `use`. `rows` is None where
    rows are not its matter; `commit` is the new snapshot's number, None in a transaction.
    """

    kind: str
    rows: int | None = None
    commit: int | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Executed:
        """From the answer of the action `execute`."""
        return cls(answer["kind"], answer.get("rows"), answer.get("commit"))


@contextlib.contextmanager
def transaction(
    execute: Callable[[str], Executed], close_results: Callable[[], None]
) -> Iterator[None]:
    """BEGIN, the block, COMMIT; ROLLBACK where any of it raises."""
    execute("BEGIN")
    try:
        yield
        execute("COMMIT")
    except BaseException:
        # A result that nobody reads on would keep the rollback waiting.
        close_results()
        with contextlib.suppress(PixelflightError):
            execute("ROLLBACK")
        raise
