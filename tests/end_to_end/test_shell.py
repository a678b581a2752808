"""The shell against a real server: scripts from pipes, and the prompt in a terminal."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from flight_server.cli.shell.commands import COMMANDS
from flight_server.client import connect
from flight_server.testing.server import LocalServer
from tests.fix_lake import wait_until
from tests.fix_terminal import Terminal, terminal

PROGRAM = (sys.executable, "-m", "flight_server")


@dataclass(frozen=True)
class Shell:
    """Runs `pixelflight` in a folder, with the key in the environment."""

    folder: Path
    url: str
    key: str

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env=self.variables(),
        )

    def script(self, text: str, *arguments: str) -> tuple[str, str]:
        """What a script that must succeed printed on standard output and error."""
        done = self.run("shell", *arguments, stdin=text)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    def variables(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PIXELFLIGHT_")}
        own = {"PIXELFLIGHT_URL": self.url, "PIXELFLIGHT_KEY": self.key}
        return kept | own | {"XDG_STATE_HOME": str(self.folder / "state")}


@pytest.fixture
def shell(tmp_path: Path, server: LocalServer) -> Shell:
    return Shell(tmp_path, server.url, server.key)


@pytest.fixture
def screen(shell: Shell) -> Iterator[Terminal]:
    """The prompt, at which nothing has been typed."""
    with terminal((*PROGRAM, "shell"), shell.folder, shell.variables()) as opened:
        assert "Connected to grpc://" in opened.until("pixelflight>")
        yield opened


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_script_writes_and_reads(shell: Shell, name: str) -> None:
    out, told = shell.script(
        f"""
        create table {name} (id integer, name varchar);  -- with; a comment
        insert into {name} values (1, 'fig;'), (2, $$pl'um$$),
            (3, 'two
        lines');
        update {name} set name = 'date' where id = 3;
        select * from {name} order by id
        """,
        "--output",
        "json",
    )
    made, inserted, updated, *found = rows(out)
    assert (made["kind"], inserted["kind"], inserted["rows"]) == ("create_table", "insert", 3)
    assert (updated["kind"], updated["rows"]) == ("update", 1)
    assert [row["name"] for row in found] == ["fig;", "pl'um", "date"]
    assert told == ""


def test_people_are_told_what_was_done(shell: Shell, name: str) -> None:
    text = f"create table {name} as select 1 as x; insert into {name} values (2), (3); \\dt {name}"
    out, told = shell.script(text.replace("; \\", ";\n\\"))
    first, second = told.splitlines()
    assert first.startswith("Table made")
    assert second.startswith("2 rows inserted (version ")
    assert name in out


def test_a_transaction_is_undone_or_done(shell: Shell, name: str) -> None:
    out, told = shell.script(
        f"""create table {name} as select 1 as x;
        begin; delete from {name}; select count(*) as n from {name}; rollback;
        select count(*) as n from {name};
        begin; insert into {name} values (2); commit;
        select count(*) as n from {name};""",
        "-O",
        "json",
    )
    assert [row["n"] for row in rows(out) if "n" in row] == [0, 1, 2]
    kinds = [row["kind"] for row in rows(out) if "kind" in row]
    assert kinds[1:] == ["begin", "delete", "rollback", "begin", "insert", "commit"]
    assert told == ""


def test_a_transaction_that_is_left_open_is_undone_and_told(shell: Shell, name: str) -> None:
    shell.script(f"create table {name} as select 1 as x;")
    done = shell.run("shell", stdin=f"begin; delete from {name};")
    assert done.returncode != 0
    assert "error: The transaction was not committed: it is rolled back." in done.stderr
    assert rows(shell.script(f"from {name}", "-O", "json")[0]) == [{"x": 1}]


def test_a_script_ends_at_its_first_error(shell: Shell, name: str) -> None:
    done = shell.run("shell", stdin=f"select 1;\n\nselect *\nfrom {name};\nselect 'not reached';")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: standard input, line 3: There is no table '{name}'.")
    assert "not reached" not in done.stdout


def test_a_syntax_error_points_to_its_place(shell: Shell) -> None:
    done = shell.run("shell", "-c", "select 1 +")
    assert done.returncode == 1
    pointed = shell.run("shell", "-c", "selct 1").stderr.splitlines()
    assert pointed[pointed.index("LINE 1: selct 1") + 1].strip() == "^"


def test_files_are_included_and_errors_name_their_line(shell: Shell) -> None:
    (shell.folder / "inner.sql").write_text("select 1 as a;\nselect 2 as a")
    (shell.folder / "bad.sql").write_text("\n\nselect nothing;")
    (shell.folder / "itself.sql").write_text("\\i itself.sql\n")
    out, _ = shell.script("\\i inner.sql\nselect 3 as a;", "-O", "json")
    assert [row["a"] for row in rows(out)] == [1, 2, 3]
    bad = shell.run("shell", stdin="\\i bad.sql\n").stderr
    assert bad.startswith("error: standard input, line 1: bad.sql, line 3: ")
    assert "does a file include itself?" in shell.run("shell", "-c", "\\i itself.sql").stderr
    gone = shell.run("shell", "-c", "\\i gone.sql")
    assert (gone.returncode, gone.stderr) == (
        2,
        "error: The file 'gone.sql' cannot be read: No such file or directory.\n",
    )


def test_commands_are_run_in_their_order(shell: Shell) -> None:
    given = ("-c", "select 1 as a; select 2 as a", "-c", "\\x", "-c", "select 3 as a")
    done = shell.run("shell", *given)
    assert done.returncode == 0
    assert done.stdout.index("1 row") < done.stdout.index("── row 1 ")
    assert "a │ 3" in done.stdout
    assert done.stderr == "Expanded output is on.\n"


def test_results_go_to_files(shell: Shell) -> None:
    _, told = shell.script(
        "\\o a.arrows\nselect 1 as a;\n\\o b.csv\nselect 2 as b;\n"
        "\\o c.tsv\nselect 4 as c, 5 as d;\n\\q\nselect 3;"
    )
    assert "1 row into a.arrows." in told
    with pa.ipc.open_stream(shell.folder / "a.arrows") as reader:
        assert reader.read_all().to_pydict() == {"a": [1]}
    assert (shell.folder / "b.csv").read_text() == '"b"\n2\n'
    assert (shell.folder / "c.tsv").read_text() == '"c"\t"d"\n4\t5\n'


def test_tables_are_described(shell: Shell, server: LocalServer, name: str) -> None:
    with connect(server.url, server.key) as client:
        schema = pa.schema([pa.field("id", pa.int64(), nullable=False), ("x", pa.string())])
        client.create_table(name, schema, key=["id"], defaults={"x": "'none'"})
    for named in (name, f"lake.main.{name}", f"main.{name};"):
        columns = rows(shell.script(f"\\d {named}", "-O", "json")[0])
        assert columns[0] == {"column": "id", "type": "int64", "nullable": False, "note": "key"}
        assert columns[1]["note"] == "default 'none'"
    versions = rows(shell.script(f"\\history {name}", "-O", "json")[0])
    assert len(versions) == 1
    assert {"namespace": "main"} in rows(shell.script("\\dn", "-O", "json")[0])


def test_a_temporary_table_is_described(shell: Shell) -> None:
    made = "create temp table mine as select 1 as a;\n\\d mine"
    columns = rows(shell.script(made, "-O", "json")[0])[1:]
    assert [(one["column_name"], one["column_type"]) for one in columns] == [("a", "INTEGER")]
    done = shell.run("shell", "-c", "\\d mine")
    assert "There is no table 'mine'" in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("\\tming", "There is no command '\\tming'. Did you mean '\\timing'? \\? lists them."),
        ("\\x maybe", "'maybe' is neither on nor off."),
        ("\\output xml", "There is no output 'xml'. There are table, json, csv, arrow."),
        ("\\limit some", "'some' is no number of rows. 0 shows all."),
        ("\\history", "Say of which table: \\history NAME."),
        ("\\i", "Say which file: \\i FILE."),
    ],
)
def test_slips_are_told(shell: Shell, command: str, said: str) -> None:
    done = shell.run("shell", "-c", command)
    assert (done.returncode, done.stderr) == (2, f"error: {said}\n")


def test_what_newcomers_try_is_understood(shell: Shell, name: str) -> None:
    shell.script(f"create table {name} as select 1 as x;")
    assert name in shell.script("show tables;")[0]
    assert shell.script("\\dt nothing_like_this*") == (
        "",
        "No table is called 'nothing_like_this*'.\n",
    )
    assert len(shell.script("explain select 1;")[0].splitlines()) > 1


def test_sql_writes_too(shell: Shell, name: str) -> None:
    made = shell.run("sql", f"create table {name} (x integer)")
    assert made.stderr.startswith("Table made (version ")
    done = shell.run("sql", f"insert into {name} values ($x)", "-p", "x=7", "-O", "json")
    (told,) = rows(done.stdout)
    assert (told["kind"], told["rows"]) == ("insert", 1)
    assert "use 'pixelflight shell'" in shell.run("sql", "begin").stderr
    refused = shell.run("sql", f"delete from {name}", "--out", "x.csv")
    assert refused.returncode == 2
    assert "--as-of and --out go with statements that give rows." in refused.stderr
    assert rows(shell.run("sql", f"from {name}", "-O", "json").stdout) == [{"x": 7}]


def test_the_prompt_runs_statements_of_several_lines(screen: Terminal, name: str) -> None:
    screen.type("select 40 +\r")
    screen.until("->")
    screen.type("2 as answer;\r")
    assert "42" in screen.until("1 row")
    screen.until("pixelflight>")
    screen.type(f"create table {name} as select 1 as x;\r")
    screen.until("Table made")
    screen.until("pixelflight>")
    screen.type("\\timing\r")
    screen.until("Timing is on.")
    screen.until("pixelflight>")
    screen.type(f"insert into {name} values (2), (3);\r")
    screen.until("2 rows inserted")
    screen.until("Time: ")
    screen.until("pixelflight>")
    screen.type("\x04")
    assert screen.ended() == 0


def test_the_prompt_shows_an_open_transaction(screen: Terminal, name: str) -> None:
    screen.type(f"create table {name} as select 1 as x;\r")
    screen.until("Table made")
    screen.until("pixelflight>")
    screen.type("begin;\r")
    screen.until("pixelflight*>")
    screen.type("rollback;\r")
    screen.until("Rolled back.")
    screen.until("pixelflight>")
    screen.type(f"begin; delete from {name};\r")
    screen.until("1 row deleted.")
    screen.until("pixelflight*>")
    screen.type("\x04")
    screen.until("The transaction was not committed: it is rolled back.")
    assert screen.ended() == 0


def test_an_error_is_told_and_the_prompt_stays(screen: Terminal) -> None:
    screen.type("select * from nowhere_at_all;\r")
    screen.until("error: There is no table 'nowhere_at_all'. \\d lists those there are.")
    screen.until("pixelflight>")
    screen.type("help\r")
    screen.until("lists a table's versions")
    screen.until("pixelflight>")
    screen.type("exit\r")
    assert screen.ended() == 0


def test_an_interrupt_ends_the_query_and_not_the_shell(
    screen: Terminal, server: LocalServer
) -> None:
    screen.type("select count(*) from range(100000000000) a where a.range % 7 = 8;\r")
    running = server.door.state.calls._running
    wait_until(lambda: any(call.flight for call in list(running)), "the query runs")
    screen.type("\x03")
    screen.until("Cancelled.")
    screen.until("pixelflight>")
    wait_until(lambda: server.door.state.calls.wait(0.0), "the server has ended it")
    screen.type("half a statement")
    screen.until("statement")
    screen.type("\x03")
    screen.until("pixelflight>")
    screen.type("select 'still here' as shell;\r")
    screen.until("1 row")
    screen.until("pixelflight>")
    screen.type("\\q\r")
    assert screen.ended() == 0


def test_names_are_completed(shell: Shell, server: LocalServer, name: str) -> None:
    with connect(server.url, server.key) as client:
        client.put(name, [{"an_unlikely_column": 5}])
    with terminal((*PROGRAM, "shell"), shell.folder, shell.variables()) as screen:
        screen.until("pixelflight>")
        # The menu is there as soon as it is typed; Tab takes from it.
        screen.type(f"select * from {name[:-2]}")
        screen.until(name)
        screen.type("\t where an_unl")
        screen.until("an_unlikely_column")
        screen.type("\t = 5;\r")
        screen.until("1 row")


def test_what_was_typed_is_kept_for_its_owner_alone(screen: Terminal, shell: Shell) -> None:
    screen.type("select 'remembered';\r")
    screen.until("1 row")
    screen.until("pixelflight>")
    screen.type("\x04")
    screen.ended()
    file = shell.folder / "state" / "pixelflight" / "history"
    assert "+select 'remembered';" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@contextmanager
def serving(data: Path, address: str) -> Iterator[str]:
    """A server at an address of its own while the block runs; where it answers."""
    options = ("--data", str(data), "--flight", address, "--http", "127.0.0.1:0")
    with subprocess.Popen([*PROGRAM, "serve", *options], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = process.stdout.readline().decode().split()
        try:
            yield ready[1].removeprefix("flight=")
        finally:
            process.terminate()


def test_the_shell_outlives_its_server(tmp_path: Path) -> None:
    with ExitStack() as first, ExitStack() as second:
        url = first.enter_context(serving(tmp_path / "data", "127.0.0.1:0"))
        shell = Shell(tmp_path, url, (tmp_path / "data" / "admin.key").read_text())
        command = (*PROGRAM, "shell")
        screen = second.enter_context(terminal(command, tmp_path, shell.variables()))
        screen.until("pixelflight>")
        screen.type("begin;\r")
        screen.until("pixelflight*>")
        first.close()
        screen.type("select 1;\r")
        screen.until("The transaction that was open is lost: nothing of it has happened.")
        screen.until("error: No server answers at ")
        screen.until("pixelflight>")
        second.enter_context(serving(tmp_path / "data", url.removeprefix("grpc://")))
        screen.type("select 'back' as it_is;\r")
        screen.until(f"Connected again to {url}.")
        screen.until("1 row")
        screen.until("pixelflight>")
        screen.type("\x04")
        assert screen.ended() == 0


def test_a_server_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    shell = Shell(tmp_path, "grpc://127.0.0.1:9", "")
    with terminal((*PROGRAM, "shell"), tmp_path, shell.variables()) as screen:
        screen.until("error: No server answers at grpc://127.0.0.1:9.")
        assert screen.ended() == 3


def test_every_command_is_described_in_the_documents() -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in page] == []
