"""Errors as pyarrow gets them: the class by the code, no traceback whatever the class."""

from __future__ import annotations

import contextvars
import traceback

import pytest
from google.rpc import status_pb2
from pyarrow import flight

from flight_server.errors import (
    ErrorCode,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unsupported,
)
from flight_server.telemetry import ServedRequest
from flight_server.wire.guard import (
    MESSAGE_BYTES_MAX,
    described,
    flight_error,
    guarded,
    quietly_guarded,
)


class Context:
    """As much of pyarrow's context as the guard uses."""

    def __init__(self) -> None:
        self.trailers: dict[str, bytes] = {}

    def add_trailer(self, name: str, value: bytes) -> None:
        self.trailers[name] = value


class Visit:
    request_id = "r-1"

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self.served = ServedRequest("flight", self.request_id)

    def enter(self, context: Context) -> None:
        """A credential was shown."""

    def told(self, error: PixelflightError) -> None:
        """Nobody keeps an audit trail."""


class Server:
    """RPCs that fail with what they are given."""

    def visit(self, context: Context) -> Visit:
        return Visit()

    @guarded
    def rpc(self, visit: Visit, error: Exception) -> None:
        raise error

    @quietly_guarded
    def quiet_rpc(self, visit: Visit, error: Exception) -> None:
        raise error


def test_known_errors_stay_and_others_become_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    known = NotFound("There is no such thing.")
    assert described(known, "r-1") is known
    assert caplog.text == ""
    assert described(RuntimeError("secret"), "r-1").message == "internal error (id=r-1)"
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (NotFound("gone"), KeyError),
        (InvalidRequest("wrong"), ValueError),
        (Unsupported("never"), NotImplementedError),
    ],
)
def test_a_quiet_error_cannot_be_formatted(error: Exception, base: type[Exception]) -> None:
    # pyarrow formats what is raised to send it; what cannot be formatted it names.
    context = Context()
    with pytest.raises(base) as caught:
        Server().quiet_rpc(context, error)
    quiet = caught.value
    assert str(quiet) == error.args[0]
    with pytest.raises(AttributeError):
        traceback.format_exception(type(quiet), quiet, quiet.__traceback__)
    found = status_pb2.Status.FromString(context.trailers["grpc-status-details-bin"])
    assert found.message == error.args[0]


def test_unsupported_is_unimplemented() -> None:
    context = Context()
    with pytest.raises(NotImplementedError):
        Server().rpc(context, Unsupported("never"))
    found = status_pb2.Status.FromString(context.trailers["grpc-status-details-bin"])
    assert found.code == ErrorCode.UNSUPPORTED.grpc


def test_the_code_within_is_the_code_that_is_sent() -> None:
    for code in ErrorCode:
        error = flight_error(InvalidRequest("x", code=code), "r-1")
        sent = status_pb2.Status.FromString(error.extra_info).code
        assert (sent == 2) is (type(error) is flight.FlightServerError)
        assert sent in (2, code.grpc)


@pytest.mark.parametrize("character", ["a", "é", "🛩"])
def test_messages_are_cut_between_characters(character: str) -> None:
    text = str(flight_error(InvalidRequest(character * 5000), "r-1"))
    assert len(text.encode()) <= MESSAGE_BYTES_MAX
    assert set(text) == {character, "…"}
