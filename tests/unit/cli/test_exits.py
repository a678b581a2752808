"""Exit codes, and errors as a sentence with its remedy."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from flight_server.cli.app import run
from flight_server.cli.exits import Exit, report
from flight_server.errors import (
    ErrorCode,
    Forbidden,
    Internal,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unauthenticated,
    Unavailable,
)

SAID = [
    (Unavailable("x"), "", Exit.UNREACHABLE),
    (Unauthenticated("x"), "r1", Exit.NOT_ALLOWED),
    (Forbidden("x"), "r1", Exit.NOT_ALLOWED),
    (InvalidRequest("x"), "", Exit.USAGE),
    (InvalidRequest("x"), "r1", Exit.FAILED),
    (InvalidRequest("x", code=ErrorCode.INVALID_DATA), "", Exit.FAILED),
    (NotFound("x"), "", Exit.USAGE),
    (NotFound("x"), "r1", Exit.FAILED),
    (Internal("x"), "r1", Exit.FAILED),
]


@pytest.mark.parametrize(("error", "request_id", "code"), SAID)
def test_the_exit_code_tells_whose_mistake_it_was(
    error: PixelflightError, request_id: str, code: Exit
) -> None:
    error.request_id = request_id
    assert report(error) is code


def test_the_request_is_named_after_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    error = NotFound("There is no table 'x'.", code=ErrorCode.TABLE_NOT_FOUND)
    error.request_id = "r1"
    report(error)
    expected = (
        "error: There is no table 'x'. 'pixelflight tables' lists those there are. (request r1)"
    )
    assert capsys.readouterr().err == expected + "\n"


def test_text_taken_for_a_column_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    report(InvalidRequest('Referenced column "JFK" not found in FROM clause!'))
    assert "If 'JFK' is text, write it in single quotes." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["put"], "Missing argument 'TABLE'"),
        (["get", "t", "--bogus"], "No such option"),
        (
            ["put", "t", "x.csv", "--mode", "upsrt"],
            "'--mode': 'upsrt' is not one of 'create', 'append'",
        ),
        (["tables", "--url", "http://h:1"], "'http://h:1' is not a Flight URL. Write grpc://h:1."),
        (["tables", "--url", "grpc://h"], "'grpc://h' needs a host and a port: grpc://HOST:PORT."),
        (
            ["keys", "create", "x", "-r", "reader", "--days", "99999999"],
            "less than or equal to 36500",
        ),
        (["settings", "--config", "no.toml"], "The settings file 'no.toml' does not exist."),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    line: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line) == Exit.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert said in captured.err
    assert "Traceback" not in captured.err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == Exit.DONE
    assert capsys.readouterr().out == f"pixelflight {version('pixelflight')}\n"


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == Exit.DONE
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"{code.value} " in said for code in Exit)
    for verb in ("serve", "demo", "sql", "get", "put", "tables", "describe", "history", "restore"):
        assert verb in said
