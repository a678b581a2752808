"""What a new user gets wrong, command by command: one sentence each, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flight_server.cli.app import run
from flight_server.testing.server import LocalServer

Said = Callable[..., tuple[int, str]]


@pytest.fixture
def said(
    server: LocalServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Said:
    """Runs a command in a folder of files; gives its exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIXELFLIGHT_URL", server.url)
    monkeypatch.setenv("PIXELFLIGHT_KEY", server.key)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)

    def command(*arguments: str) -> tuple[int, str]:
        code = run(arguments)
        captured = capsys.readouterr()
        return code, captured.err if code else captured.out + captured.err

    return command


FILES = {
    "fruit.csv": "id,name,price\n1,apple,1.5\n2,pear,\n",
    "more.csv": "id,name,weight\n3,fig,9\n",
    "short.csv": "id,name,price\n1,apple\n",
    "words.csv": "id,name,price\none,apple,1\n",
    "twice.csv": "id,name\n1,a\n1,b\n",
    "broken.jsonl": '{"id": 1}\n{"id": \n',
    "book.xlsx": "",
}


def test_a_statement_may_begin_with_a_comment(said: Said) -> None:
    for comment in ("-- a comment", "--a comment", "--"):
        assert said("sql", f"{comment}\nselect 1 as x", "-O", "csv") == (0, '"x"\n1\n')
    assert said("sql", "--a-comment", "select 1")[0] == 2


def test_nothing_asked_for_is_answered_with_the_help(said: Said) -> None:
    code, text = said()
    assert code == 2
    assert text.startswith("Usage: pixelflight [OPTIONS] COMMAND")
    assert "error" not in text.partition("Options:")[0]


@pytest.fixture
def table(said: Said, name: str) -> str:
    code, text = said("put", name, "fruit.csv")
    assert code == 0, text
    return name


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("put", "TABLE", "short.csv"), 1, "short.csv, line 2: 2 values, but the header names 3"),
        (("put", "TABLE", "words.csv"), 1, "words.csv, line 2: the column 'id' is int64, but here"),
        (("put", "TABLE", "more.csv"), 1, "no column 'weight'"),
        (("put", "TABLE", "broken.jsonl"), 1, "broken.jsonl, line 2: this is not a JSON object."),
        (("put", "TABLE", "book.xlsx"), 2, "Formats are csv (.csv .tsv .tab), json (.jsonl"),
        (("put", "TABLE", "friut.csv"), 2, "does not exist. Did you mean 'fruit.csv'?"),
        (("put", "fruit.csv", "x"), 2, "The table comes first: pixelflight put x fruit.csv"),
        (("put", "TABLE", "fruit.csv", "--mode", "create"), 1, "exists already."),
        (("put", "TABLE", "fruit.csv", "--mode", "upsert"), 2, "which columns to match by: --by"),
        (("put", "TABLE", "fruit.csv", "--mode", "upsert", "--by", "ident"), 1, "'ident'"),
        (("put", "TABLE", "twice.csv", "--mode", "upsert", "--by", "id"), 1, "more than once"),
        (("put", "TABLE", "fruit.csv", "--type", "id"), 2, "--type 'id' is not NAME=VALUE."),
        (("put", "TABLE", "fruit.csv", "--type", "x=int"), 2, "which the file does not have."),
        (("put", "TABLE", "fruit.csv", "--type", "id=itn"), 2, "'itn' is not an Arrow type"),
        (("put", "TABLE", "fruit.csv", "-t", "id=decimal"), 2, "double, decimal128(10, 2), date32"),
        (("put", "TABLE", "fruit.csv", "-t", "id=varchar"), 2, "such as string"),
        (("put", "no_such", "fruit.csv", "--no-create"), 1, "There is no table 'no_such'."),
        (("put", '"a', "fruit.csv"), 1, "a double quote is not closed"),
        (("get", "TABLEx"), 1, "Did you mean 'TABLE'?"),
        (("get", "TABLE", "-c", "id,nmae"), 1, "no column 'nmae'. Did you mean 'name'?"),
        (("get", "TABLE", "-w", "name = apple"), 1, "apple"),
        (("get", "TABLE", "-o", "out.xls"), 2, "The format of 'out.xls' is not known"),
        (("get", "TABLE", "-o", "no/out.csv"), 2, "cannot be written: No such file or directory."),
        (("get", "TABLE", "--version", "999999"), 1, "There is no version 999999"),
        (("get", "TABLE", "--version", "first"), 1, "no tag 'first'"),
        (("get", "TABLE", "--as-of", "yesterday"), 2, "is not a time with its zone, such as 2026-"),
        (("sql", "select 1", "--as-of", "2026-01-31"), 2, "--as-of '2026-01-31' is not a time"),
        (("sql", "select * form TABLE"), 1, "syntax error"),
        (("sql", 'select * from TABLE where name = "pear"'), 1, "write it in single quotes"),
        (("sql", "select * from TABLE where id = $n", "-p", "n"), 2, "is not NAME=VALUE"),
        (("sql", "drop table NOPE_TABLE"), 1, "There is no table"),
        (("sql", "insert into TABLE values (1)"), 1, "Columns to be written:"),
        (("sql", "commit"), 1, "There is no transaction for COMMIT: BEGIN one first."),
        (("sql", "  "), 2, "The statement is empty."),
        (("sql", "-f", "none.sql"), 2, "'none.sql' cannot be read: No such file or directory."),
        (("restore", "TABLE", "999999"), 1, "There is no version 999999"),
        (("describe", "TABLE.x.y.z"), 1, "is not a table name"),
        (("tables", "--url", "grpc://127.0.0.1:9"), 3, "No server answers at grpc://127.0.0.1:9."),
        (("tables", "--key", "pf_wrong"), 4, "This is not an API key."),
        (("tables", "--key", ""), 4, "Give a key with --key or PIXELFLIGHT_KEY"),
        (("keys", "list", "--data", "none"), 2, "No server has run in 'none' yet."),
        (("keys", "create", "x", "--data", "none"), 2, "Give the key a --role (admin, reader"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_in_a_sentence(
    said: Said, table: str, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    found, text = said(*(word.replace("TABLE", table) for word in arguments))
    assert text.startswith("error: "), text
    assert expected.replace("TABLE", table) in text
    assert found == code
    assert "Traceback" not in text
    count = said("sql", f"select count(*) as n from {table}", "-O", "csv")
    assert count == (0, '"n"\n2\n')


def test_a_failed_put_makes_no_table(said: Said, name: str) -> None:
    assert said("put", name, "short.csv")[0] == 1
    assert "There is no table" in said("get", name)[1]


@pytest.mark.parametrize("path", ["out.csv", "out.tsv", "out.tab.gz"])
def test_what_get_writes_put_reads_as_the_same_columns(said: Said, table: str, path: str) -> None:
    assert said("get", table, "-o", path)[0] == 0
    assert said("put", table, path)[0] == 0
    answer = said("sql", f"select count(*) as n, sum(id) as ids from {table}", "-O", "csv")
    assert answer == (0, '"n","ids"\n4,6\n')


def test_a_dropped_table_is_not_the_end_of_it(said: Said, table: str) -> None:
    version = said("history", table, "-O", "csv")[1].splitlines()[1].split(",")[0]
    assert said("sql", f"drop table {table}")[0] == 0
    for arguments in (("history", table), ("describe", table), ("restore", table, version)):
        code, text = said(*arguments)
        assert code == 1
        assert f"There is no table '{table}'." in text
        assert f"If it was dropped, 'pixelflight undrop {table}' brings it back." in text
    code, text = said("undrop", table)
    assert (code, f"{table} is there again, as it was before it was dropped" in text) == (0, True)
    assert said("get", table, "-O", "csv", "-c", "id") == (0, '"id"\n1\n2\n')


def test_what_was_not_dropped_cannot_be_brought_back(said: Said, table: str) -> None:
    assert "exists already" in said("undrop", table)[1]
    code, text = said("undrop", f"{table}_never")
    assert code == 1
    assert "There is no table" in text
    assert "undrop" not in text


def test_a_header_alone_makes_a_table_of_text_and_says_so(
    said: Said, name: str, tmp_path: Path
) -> None:
    (tmp_path / "header.csv").write_text("id,price\n")
    note = f"no row tells their types, so the columns id, price of {name} are text"
    assert note in said("put", name, "header.csv")[1]
    assert note not in said("put", name, "header.csv")[1]
    chosen = said("put", f"{name}_chosen", "header.csv", "-t", "id=int64", "-t", "price=double")
    assert "are text" not in chosen[1]


def test_a_token_counts_once_and_says_so(said: Said, table: str) -> None:
    assert said("put", table, "fruit.csv", "--token", "t1")[0] == 0
    again = said("put", table, "fruit.csv", "--token", "t1")[1]
    assert "Nothing written: this token was used before, for 2 rows" in again


def test_commits_on_the_way_add_up(said: Said, name: str, tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("x\n" + "".join(f"{i}\n" for i in range(1000)))
    assert (
        f"1,000 rows into {name}" in said("put", name, "long.csv", "--commit-every-rows", "300")[1]
    )
    assert said("history", name, "-O", "csv")[1].count("inserted") >= 1
