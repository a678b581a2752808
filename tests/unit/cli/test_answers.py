"""What a statement that writes has done, in words."""

from __future__ import annotations

import json

import pytest

from flight_server.cli.answers import answer, sentence
from flight_server.cli.options import Output
from flight_server.client import Executed


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (Executed("insert", 3, 7), "3 rows inserted (version 7)."),
        (Executed("insert", 1), "1 row inserted."),
        (Executed("update", 0), "0 rows updated."),
        (Executed("delete", 1200, 8), "1,200 rows deleted (version 8)."),
        (Executed("merge", 2, 8), "2 rows merged (version 8)."),
        (Executed("create_table", None, 9), "Table made (version 9)."),
        (Executed("create_table", 5, 9), "Table made with 5 rows (version 9)."),
        (Executed("drop_schema", None, 9), "Schema dropped (version 9)."),
        (Executed("begin"), "Transaction begun."),
        (Executed("commit", None, 10), "Committed (version 10)."),
        (Executed("rollback"), "Rolled back."),
        (Executed("use"), "Done."),
    ],
)
def test_sentences(done: Executed, said: str) -> None:
    assert sentence(done) == said


def test_people_are_told_and_programs_get_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    answer(Executed("insert", 3, 7), Output.TABLE)
    assert capsys.readouterr() == ("", "3 rows inserted (version 7).\n")
    answer(Executed("insert", 3, None), Output.JSON)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"kind": "insert", "rows": 3, "commit": None}
    assert printed.err == ""
