"""The words of a statement, cut by DuckDB's own lexer, and a cursor over them.

Statements that write have no tree, so their outer structure is read from their words. A piece
that is cut out is never run as it stands: it is put into a SELECT and parsed, and brackets are
balanced in it, so that it cannot reach beyond its place.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

import duckdb

from flight_server.errors import ErrorCode, InvalidRequest, Unsupported

# Every character beyond ASCII may stand in a name, as in DuckDB's lexer.
_FIRST = re.compile(r'"(?:[^"]|"")*"|[A-Za-z0-9_$\u0080-\U0010ffff]+|.', re.DOTALL)
# What DuckDB's parser takes for a space and its lexer for a part of a name.
_SPACES = re.compile("[\u00a0\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff]")
_OPENING = frozenset({"(", "[", "{", "CASE"})
_CLOSING = frozenset({")", "]", "}", "END"})
_LITERALS = (duckdb.token_type.string_const, duckdb.token_type.numeric_const)


class Word(NamedTuple):
    """A word as it is written, `text`; in capitals where it may be a keyword, else as written.

    `literal` says that it is a string or a number.
    """

    text: str
    keyword: str
    literal: bool


class Words:
    """A cursor over one statement. What is asked for by word is compared without case."""

    def __init__(self, sql: str) -> None:
        sql = _prepared(sql)
        tokens = duckdb.tokenize(sql)
        self._text = sql.encode()
        self._kinds = [kind for _, kind in tokens]
        self._places = [place for place, _ in tokens] + [len(self._text)]
        # Words are cut when they are looked at: a list of many values is passed over whole.
        self._cut: dict[int, Word] = {}
        self._at = 0
        while self._kinds and self._word(len(self._kinds) - 1).text == ";":
            self._kinds.pop()
            self._places.pop()
        while self.take(";"):
            pass

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._kinds)

    def peek(self, ahead: int = 0) -> str:
        """The word that comes, in capitals unless it is quoted; nothing at the end."""
        at = self._at + ahead
        return self._word(at).keyword if 0 <= at < len(self._kinds) else ""

    def take(self, *words: str) -> bool:
        """Passes over these words where they come next."""
        if any(self.peek(ahead) != word for ahead, word in enumerate(words)):
            return False
        self._at += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Passes over these words, which must come."""
        if not self.take(*words):
            self.refuse()

    def end(self) -> None:
        """Unsupported where the statement goes on."""
        if not self.ended:
            self.refuse()

    def refuse(self) -> NoReturn:
        """Unsupported, quoting what comes and could not be read."""
        verb = self.peek(-self._at) or "An empty"
        rest = self.rest().strip()
        shown = f"'{rest[:60]}'" if rest else "its end"
        raise Unsupported(f"This server does not support {shown} in this {verb} statement.")

    def name(self, what: str) -> str:
        """The name that comes, without its quotes. Unsupported where none does."""
        if self.ended or not is_name(self._word(self._at)):
            self.refuse()
        text = self._word(self._at).text
        self._at += 1
        name = text[1:-1].replace('""', '"') if text.startswith('"') else text
        if not name:
            raise InvalidRequest(f"A {what} must not be empty.", code=ErrorCode.INVALID_NAME)
        return name

    def dotted(self, what: str) -> list[str]:
        """A name and its parts: `a.b.c`."""
        parts = [self.name(what)]
        while self.take("."):
            parts.append(self.name(what))
        return parts

    def names(self, what: str) -> tuple[str, ...]:
        """`(a, b)`."""
        self.expect("(")
        found = [self.name(what)]
        while self.more():
            found.append(self.name(what))
        self.expect(")")
        return tuple(found)

    def more(self, *ends: str) -> bool:
        """Passes over a comma, and says whether there is more behind it: DuckDB lets one end."""
        return self.take(",") and not self.ended and self.peek() not in (")", *ends)

    def names_come(self) -> bool:
        """Whether `(a, b)` comes, and not a query in parentheses."""
        at, expected = 1, True
        while self._at + at < len(self._kinds):
            word = self._word(self._at + at)
            if expected and not is_name(word):
                return word.text == ")" and at > 1 and self.peek() == "("
            if not expected and word.text != ",":
                return word.text == ")" and self.peek() == "("
            at, expected = at + 1, not expected
        return False

    def until(self, *stops: str, least: int = 0) -> str:
        """The text up to one of these words outside of brackets, or up to a bracket's end.

        The first `least` words are no stops.
        """
        begin, depth = self._at, 0
        while not self.ended:
            word = self.peek() if self._may_be_keyword() else ""
            if not depth and (word in _CLOSING or self._stops(word, stops, begin + least)):
                break
            depth += (word in _OPENING) - (word in _CLOSING)
            self._at += 1
        return self._between(begin, self._at)

    def until_last(self, *stops: str) -> str:
        """The text up to the last of these words that `until` would find, or nothing."""
        begin, last, least = self._at, -1, 0
        while True:
            self.until(*stops, least=least)
            if self.ended or self.peek() not in stops:
                break
            last, least = self._at, 1
        self._at = max(last, begin)
        return self._between(begin, self._at)

    def rest(self) -> str:
        """The text from here to the end."""
        begin, self._at = self._at, len(self._kinds)
        return self._between(begin, self._at)

    def passed(self) -> str:
        """The text from the start to here."""
        return self._between(0, self._at)

    def _between(self, begin: int, end: int) -> str:
        return self._text[self._places[begin] : self._places[end]].decode()

    def _word(self, at: int) -> Word:
        word = self._cut.get(at)
        if word is None:
            piece = self._between(at, at + 1)
            word = self._cut[at] = _word(piece, self._kinds[at] in _LITERALS)
        return word

    def _may_be_keyword(self) -> bool:
        """Whether the word that comes is no name behind a dot or AS."""
        return self.peek(-1) not in (".", "AS") or self.peek() in _BRACKETS

    def _stops(self, word: str, stops: tuple[str, ...], first: int) -> bool:
        if word not in stops or self._at < first:
            return False
        # IS DISTINCT FROM is an operator.
        return not (word == "FROM" and self.peek(-1) == "DISTINCT")


_BRACKETS = frozenset("()[]{}")


def is_name(word: Word) -> bool:
    """Whether the word can be a name."""
    first = word.text[0]
    return not word.literal and (
        first in '"_' or (first.isascii() and first.isalpha()) or first > "\x7f"
    )


def _word(piece: str, literal: bool) -> Word:
    """The word that a piece begins with; what is behind it is white space and comments."""
    if literal:
        return Word(piece, piece, True)
    first = _FIRST.match(piece)
    assert first is not None, "no piece is empty"
    text = first[0]
    return Word(text, text if text.startswith('"') else text.upper(), False)


def _prepared(sql: str) -> str:
    """The text with plain spaces, and with `?` numbered as DuckDB numbers them."""
    if _SPACES.search(sql):
        sql = "".join(
            piece if kind in _LITERALS or piece.startswith('"') else _SPACES.sub(" ", piece)
            for piece, kind in _pieces(sql)
        )
    if "?" not in sql:
        return sql
    text, count = [], 0
    for piece, kind in _pieces(sql):
        numbered = kind == duckdb.token_type.operator and re.match(r"\?(?!\d)", piece)
        count += bool(numbered)
        text.append(f" ${count} {piece[1:]}" if numbered else piece)
    return "".join(text)


def _pieces(sql: str) -> list[tuple[str, duckdb.token_type]]:
    """Each word with the white space and the comments behind it, and its kind."""
    text = sql.encode()
    tokens = duckdb.tokenize(sql)
    ends = [place for place, _ in tokens[1:]] + [len(text)]
    return [
        (text[start:end].decode(), kind) for (start, kind), end in zip(tokens, ends, strict=False)
    ]
