"""Errors survive the wire: what the guard writes, the client reads."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.client import connect
from flight_server.client.failures import from_json, rebuilt, translated
from flight_server.errors import (
    ErrorCode,
    Internal,
    InvalidRequest,
    PixelflightError,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from flight_server.wire.guard import flight_error

URL = "grpc://h:1"


@pytest.mark.parametrize("code", list(ErrorCode), ids=[code.text for code in ErrorCode])
def test_every_code_comes_back_as_it_was_raised(code: ErrorCode) -> None:
    sent = PixelflightError("What happened, with 'ü'.", code=code, details={"column": "x"})
    found = rebuilt(flight_error(sent, "request-1"), URL)
    assert (found.code, found.message) == (code, sent.message)
    assert (found.details, found.request_id) == ({"column": "x"}, "request-1")
    # A class stands for a group of codes, all of one kind on the wire.
    assert type(found).default.grpc in (code.grpc, ErrorCode.CONFLICT.grpc)


def test_a_code_of_a_newer_server_is_kept_as_text() -> None:
    found = from_json({"code": "brand_new", "message": "m", "request_id": "r"})
    assert isinstance(found, Internal)
    assert found.message == "m"


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        ("failed to connect: Connection refused", Unavailable, "No server answers at grpc://h:1"),
        ("DNS resolution failed for h", Unavailable, "The host of grpc://h:1 is not known."),
        (
            "failed to connect to all addresses; last error: Socket closed",
            Unavailable,
            "If it speaks TLS, use grpc+tls://.",
        ),
        ("Stream removed (Socket closed)", Unavailable, "broke in the middle of a call"),
        (
            "Stream removed (recvmsg:Connection reset by peer)",
            Unavailable,
            "broke in the middle of a call",
        ),
        ("SSL_ERROR_SSL: wrong version", Unavailable, "certificates do not agree"),
        ("too busy. Detail: x", Unavailable, "is not available: too busy"),
    ],
)
def test_an_address_that_does_not_answer_is_explained(
    raised: str, kind: type[PixelflightError], said: str
) -> None:
    found = rebuilt(flight.FlightUnavailableError(raised), URL)
    assert isinstance(found, kind)
    assert said in found.message


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (flight.FlightUnauthenticatedError("no"), Unauthenticated),
        (pa.lib.ArrowNotImplementedError("no"), Unsupported),
        (pa.lib.ArrowInvalid("no"), InvalidRequest),
        (flight.FlightServerError("no", b"not a status"), Internal),
        (OSError("no"), Internal),
    ],
)
def test_other_servers_errors_become_the_nearest_of_ours(
    raised: Exception, kind: type[PixelflightError]
) -> None:
    with pytest.raises(kind, match="no"), translated(URL):
        raise raised


def test_what_no_server_said_is_put_into_no_servers_mouth() -> None:
    for sent in ("Flight returned invalid argument error, with message: no", "no. Detail: x"):
        assert rebuilt(pa.lib.ArrowInvalid(sent), URL).message == (
            "The server at grpc://h:1 answered: no"
        )
    here = rebuilt(pa.lib.ArrowInvalid("Tried to write record batch"), URL)
    assert here.message == (
        "What was to go to grpc://h:1 cannot be sent: Tried to write record batch"
    )
    assert isinstance(here, InvalidRequest)


def test_a_client_that_was_closed_says_so() -> None:
    client = connect(URL, "")
    client.close()
    with pytest.raises(InvalidRequest, match=r"^This client of grpc://h:1 is closed\. Connect"):
        client.tables()
