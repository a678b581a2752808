"""Text into statements, as it comes: `;` ends one, unless it stands in quotes or in a comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# What is not code to its end: a comment of one line; and what opens, ends, or is a whole word.
# A word is taken whole, so that neither `E'` nor `$tag$` is found in its middle.
_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*)"
    r"|(?P<opens>[eE]'|'|\"|/\*|\$(?:[^\W\d]\w*)?\$)"
    r"|(?P<end>;)"
    r"|\w[\w$]*"
)
_NEST = re.compile(r"/\*|\*/")
_ESCAPED = re.compile(r"\\.|''|'", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """One statement without its `;`, and the line that it begins on, counted from 1."""

    text: str
    line: int


class Splitter:
    """Takes text line by line, gives statements. Comments alone are no statement."""

    def __init__(self) -> None:
        self._kept = ""
        self._line = 1
        self._opened = ""
        self._depth = 0
        self._blank = True
        self._in_line_comment = False

    @property
    def opened(self) -> str:
        """What stands open at the end: `'`, `"`, `$tag$`, `/*` or `--`; nothing outside."""
        return self._opened or ("--" if self._in_line_comment else "")

    @property
    def is_idle(self) -> bool:
        """Whether no statement has begun, nor a comment that is still open."""
        return self._blank and not self._opened

    def feed(self, text: str) -> Iterator[Piece]:
        """The statements that end in this text."""
        at = begun = 0
        while at < len(text):
            if self._opened:
                self._in_line_comment = False
                at = self._close(text, at)
                continue
            token = _TOKEN.search(text, at)
            between = text[at : token.start()] if token else text[at:]
            self._blank = self._blank and not between.strip()
            at = token.end() if token else len(text)
            self._in_line_comment = bool(token and token["comment"]) and at == len(text)
            if token is None or token["comment"]:
                continue
            if token["end"]:
                yield from self._taken(text[begun : at - 1], text[begun:at])
                begun = at
            elif token["opens"]:
                self._open(token["opens"])
            else:
                self._blank = False
        self._kept += text[begun:]

    def rest(self) -> Iterator[Piece]:
        """The last statement, if it was not ended; all is forgotten then."""
        yield from self._taken("", "")

    def _taken(self, last: str, passed: str) -> Iterator[Piece]:
        text = self._kept + last
        if not self._blank:
            stripped = text.lstrip()
            line = self._line + text[: len(text) - len(stripped)].count("\n")
            yield Piece(stripped.rstrip(), line)
        self._line += (self._kept + passed).count("\n")
        self._kept, self._opened, self._depth, self._blank = "", "", 0, True

    def _open(self, mark: str) -> None:
        self._opened = mark
        self._depth = 1 if mark == "/*" else 0
        self._blank = self._blank and mark == "/*"

    def _close(self, text: str, at: int) -> int:
        """Where what is open ends, the end of the text if it does not."""
        if self._opened == "/*":
            return self._close_comment(text, at)
        if self._opened in ("e'", "E'"):
            return self._close_escaped(text, at)
        # A doubled quote closes and opens again at once.
        found = text.find(self._opened, at)
        if found < 0:
            return len(text)
        end = found + len(self._opened)
        self._opened = ""
        return end

    def _close_comment(self, text: str, at: int) -> int:
        for mark in _NEST.finditer(text, at):
            self._depth += 1 if mark[0] == "/*" else -1
            if not self._depth:
                self._opened = ""
                return mark.end()
        return len(text)

    def _close_escaped(self, text: str, at: int) -> int:
        for mark in _ESCAPED.finditer(text, at):
            if mark[0] == "'":
                self._opened = ""
                return mark.end()
        return len(text)


def pieces(lines: Iterable[str]) -> Iterator[Piece]:
    """The statements of a script, and its lines that are commands, which begin with a backslash."""
    splitter = Splitter()
    for number, line in enumerate(lines, 1):
        if splitter.is_idle and line.lstrip().startswith("\\"):
            yield Piece(line.strip(), number)
            line = "\n"
        yield from splitter.feed(line)
    yield from splitter.rest()


def is_complete(text: str) -> bool:
    """Whether every statement of the text is ended, and nothing stands open."""
    return _read(text).is_idle


def opened_at_end(text: str) -> str:
    """What stands open at the end of the text: a quote, a comment, or nothing."""
    return _read(text).opened


def _read(text: str) -> Splitter:
    splitter = Splitter()
    for _ in splitter.feed(text):
        pass
    return splitter
