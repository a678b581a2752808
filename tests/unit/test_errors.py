"""The table of errors is API: rows are appended and never change."""

from __future__ import annotations

import http
import inspect
import json

import pytest
from google.rpc import code_pb2

from flight_server import errors
from flight_server.errors import ErrorCode, PixelflightError, did_you_mean

# A copy by hand. A row that a client may have seen stays as it is; new ones go to the end.
PUBLISHED = [
    ("not_found", 404, 5, False),
    ("table_not_found", 404, 5, False),
    ("namespace_not_found", 404, 5, False),
    ("column_not_found", 400, 3, False),
    ("version_not_found", 404, 5, False),
    ("tag_not_found", 404, 5, False),
    ("catalog_not_found", 404, 5, False),
    ("already_exists", 409, 6, False),
    ("invalid_request", 400, 3, False),
    ("invalid_name", 400, 3, False),
    ("invalid_data", 400, 3, False),
    ("schema_mismatch", 400, 3, False),
    ("invalid_sql", 400, 3, False),
    ("invalid_ticket", 400, 3, False),
    ("ticket_expired", 410, 3, False),
    ("unsupported", 501, 12, False),
    ("unsupported_type", 400, 3, False),
    ("conflict", 409, 10, True),
    ("token_conflict", 409, 9, False),
    ("limit_exceeded", 429, 8, True),
    ("too_large", 413, 8, False),
    ("unauthenticated", 401, 16, False),
    ("forbidden", 403, 7, False),
    ("timed_out", 504, 4, True),
    ("cancelled", 499, 1, True),
    ("unavailable", 503, 14, True),
    ("internal", 500, 13, False),
    ("transaction_not_found", 404, 5, False),
    ("statement_not_found", 404, 5, False),
    ("row_not_found", 404, 5, False),
    ("version_changed", 412, 9, False),
    ("not_acceptable", 406, 3, False),
    ("unsupported_media_type", 415, 3, False),
    ("view_unreadable", 409, 9, False),
    ("snapshot_not_found", 404, 5, False),
    ("check_violation", 422, 3, False),
    ("address_refused", 403, 7, False),
    ("job_not_found", 404, 5, False),
    ("job_over", 409, 9, False),
    ("range_unsatisfiable", 416, 3, False),
    ("upload_not_found", 404, 5, False),
    ("offset_conflict", 409, 9, False),
    ("media_unreadable", 409, 9, False),
    ("index_not_found", 404, 5, False),
]

# 499 is nginx's "client closed request": the one status here that no standard lists.
HTTP_STATUSES = {status.value for status in http.HTTPStatus} | {499}

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, PixelflightError)
]


def test_published_rows_are_unchanged_and_in_their_order() -> None:
    rows = [(code.text, code.http, code.grpc, code.retryable) for code in ErrorCode]
    assert rows[: len(PUBLISHED)] == PUBLISHED


def test_every_row_is_published() -> None:
    assert len(list(ErrorCode)) == len(PUBLISHED), "append the new row to PUBLISHED as well"


@pytest.mark.parametrize("code", list(ErrorCode), ids=lambda code: code.text)
def test_a_row_is_valid_on_both_protocols(code: ErrorCode) -> None:
    assert code.http in HTTP_STATUSES
    assert code.http >= 400
    assert code.grpc in code_pb2.Code.values()
    assert code.grpc not in (code_pb2.OK, code_pb2.UNKNOWN)
    assert code.meaning.endswith(".")


def test_every_class_has_a_code_of_its_own() -> None:
    own = [kind.default for kind in CLASSES if kind is not PixelflightError]
    assert len(set(own)) == len(own) >= 12


def test_an_error_is_its_message_its_code_and_its_details() -> None:
    error = errors.NotFound("There is no table 'x'.", code=ErrorCode.TABLE_NOT_FOUND)
    assert str(error) == error.message == "There is no table 'x'."
    assert error.code is ErrorCode.TABLE_NOT_FOUND
    assert error.details == {}


def test_the_class_gives_the_code_where_none_is_said() -> None:
    assert errors.Conflict("Another commit came first.").code is ErrorCode.CONFLICT


def test_the_shape_of_an_error_is_the_same_for_every_door() -> None:
    error = errors.LimitExceeded("Too many queries.", details={"wait_ms": 40})
    assert json.loads(json.dumps(error.as_json("r-1"))) == {
        "code": "limit_exceeded",
        "message": "Too many queries.",
        "retryable": True,
        "request_id": "r-1",
        "details": {"wait_ms": 40},
    }


def test_details_are_the_errors_own_copy() -> None:
    details = {"column": "price"}
    error = errors.InvalidRequest("No.", details=details)
    details["column"] = "changed"
    assert error.details == {"column": "price"}


def test_the_nearest_name_is_offered() -> None:
    assert did_you_mean("flihgts", ["airlines", "flights"]) == " Did you mean 'flights'?"


@pytest.mark.parametrize("known", [[], ["airlines", "planes"]])
def test_nothing_is_offered_where_nothing_is_near(known: list[str]) -> None:
    assert did_you_mean("weather", known) == ""
