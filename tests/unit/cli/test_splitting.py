"""Text is split into statements where a statement ends, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.cli.shell.splitting import (
    Piece,
    Splitter,
    is_complete,
    opened_at_end,
    pieces,
)

# A text, and the statements in it.
CASES = [
    ("select 1; select 2;", ["select 1", "select 2"]),
    ("select 1", ["select 1"]),
    ("select ';'; select 2", ["select ';'", "select 2"]),
    ("select 'it''s; one'; x", ["select 'it''s; one'", "x"]),
    (r"select E'a\';b'; x", [r"select E'a\';b'", "x"]),
    (r"select 'a\'; x", [r"select 'a\'", "x"]),
    (r"select note'a\'; x", [r"select note'a\'", "x"]),
    ('select "a;""b"; x', ['select "a;""b"', "x"]),
    ("select $$a;'b$$; x", ["select $$a;'b$$", "x"]),
    ("select $t$a;$$;b$t$; x", ["select $t$a;$$;b$t$", "x"]),
    ("select $1; select $2", ["select $1", "select $2"]),
    ("select a$b$ from t; x", ["select a$b$ from t", "x"]),
    ("select 1 -- no; end\n; x", ["select 1 -- no; end", "x"]),
    ("select /* no; /* deep; */ end; */ 1; x", ["select /* no; /* deep; */ end; */ 1", "x"]),
    ("select 5 - 3 / 2; x", ["select 5 - 3 / 2", "x"]),
    (";;  ; -- nothing\n/* at; all */;", []),
    ("\n\n  ", []),
    ("select 'open; end", ["select 'open; end"]),
    ("select\n  'two\nlines;'\n;x", ["select\n  'two\nlines;'", "x"]),
]


def texts(text: str) -> list[str]:
    return [piece.text for piece in pieces(text.splitlines(keepends=True))]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_statements_end_where_they_end(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_it_does_not_matter_how_lines_come(text: str, expected: list[str]) -> None:
    splitter = Splitter()
    found = [piece.text for piece in splitter.feed(text)]
    assert found + [piece.text for piece in splitter.rest()] == expected


def test_pieces_know_their_lines_and_commands_are_lines() -> None:
    text = "\\timing\n-- first\n\nselect 1;\n  \\x on  \nselect\n  '\n\\no command';select 3"
    assert list(pieces(text.splitlines(keepends=True))) == [
        Piece("\\timing", 1),
        Piece("-- first\n\nselect 1", 2),
        Piece("\\x on", 5),
        Piece("select\n  '\n\\no command'", 6),
        Piece("select 3", 8),
    ]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("select 1", False),
        ("select 1;", True),
        ("select 1; select", False),
        ("select 1; -- done", True),
        ("select ';", False),
        ("/* ;", False),
        ("", True),
    ],
)
def test_a_statement_is_complete_at_its_semicolon(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("select 'a", "'"),
        ("select 'a'", ""),
        ('select "a', '"'),
        ("select $x$a", "$x$"),
        ("select /* a", "/*"),
        ("select -- a", "--"),
        ("select -- a\n", ""),
        ("select '-- a", "'"),
        ("/* a */ -- '", "--"),
    ],
)
def test_what_stands_open_is_known(text: str, opened: str) -> None:
    assert opened_at_end(text) == opened


PART = st.sampled_from(["a", " ", "'x;'", '"y;"', "$$;$$", "$t$'$t$", "/*;*/", "--;\n", "\n", "+"])


@given(st.lists(st.lists(PART, max_size=6), max_size=5))
def test_pieces_put_together_are_split_again(statements: list[list[str]]) -> None:
    written = [" ".join(["select", *parts]) for parts in statements]
    assert texts("\n;\n".join(written)) == [text.strip() for text in written]
