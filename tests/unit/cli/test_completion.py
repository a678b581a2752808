"""Tab offers what may stand at the cursor, and nothing inside of text or comments."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from flight_server.cli.shell.completion import ShellCompleter
from flight_server.cli.shell.names import Known
from flight_server.model import TableRef

KNOWN = Known(
    {
        TableRef.of("flights"): ("carrier", "dep_delay", "Two words"),
        TableRef.of("airlines"): ("code", "name"),
        TableRef.of("sales", "daily"): ("day", "amount"),
        TableRef.of("a/b", "odd name"): ("x",),
        TableRef.of("films", "art", "frames"): ("frame",),
    },
    ("main", "sales", "a/b", "empty"),
)


def offered(text: str) -> list[str]:
    """What is offered where `|` stands, else at the end of the text."""
    before, _, after = text.partition("|")
    document = Document(before + after, len(before))
    found = ShellCompleter(lambda: KNOWN).get_completions(document, CompleteEvent())
    return [completion.text for completion in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sel", ["select"]),
        ("SEL", ["SELECT"]),
        ("select * from fl", ["flights"]),
        ("select * from s", ["sales.daily", "sales"]),
        ("select * from sales.", ["daily"]),
        ("insert into da", []),
        ('select * from "a', ["airlines", '"a/b"."odd name"', '"a/b"']),
        ('select * from "a/b".', ['"odd name"']),
        ("select * from films.art.f", ["frames"]),
        ('select * from "a.b', []),
        ("select dep| from flights", ["dep_delay"]),
        ("select f.d| from flights f", ["dep_delay"]),
        ("select a.| from flights f, airlines as a where 1", ["code", "name"]),
        ("select sales.daily.am| from sales.daily", ["amount"]),
        ("select 1; select na| from airlines; select 2", ["name"]),
        ('select "Two| from flights', ['"Two words"']),
        ("select car| from airlines", []),
        ("select coal", ["coalesce"]),
        ("select 'fl", []),
        ("select 1 -- sel", []),
        ("select /* sel", []),
        ("select ", []),
        ("\\ti", ["\\timing"]),
        ("\\d sal", ["sales.daily"]),
        ("\\history films", ["films:art.frames"]),
        ("\\output c", ["csv"]),
        ("\\x o", ["on", "off"]),
        ("\\q ", []),
    ],
)
def test_what_is_offered(text: str, expected: list[str]) -> None:
    assert offered(text) == expected


def test_every_name_is_offered_where_a_table_stands() -> None:
    assert offered("select * from ") == [
        "airlines",
        "flights",
        '"a/b"."odd name"',
        "sales.daily",
        "films.art.frames",
        "sales",
        '"a/b"',
        "empty",
    ]


def test_files_are_offered(tmp_path: Path) -> None:
    (tmp_path / "script.sql").touch()
    assert offered(f"\\i {tmp_path}/scr") == ["ipt.sql"]
