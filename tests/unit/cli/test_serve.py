"""What stands in a server's way is told before anything is built."""

from __future__ import annotations

import json
import logging
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from flight_server.cli.serve import _reserve, bound, is_loopback, split_address
from flight_server.errors import Conflict, InvalidRequest
from flight_server.settings import Settings
from flight_server.telemetry import RequestFields, ServedRequest, serving
from flight_server.telemetry.logs import JsonLines


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:8815", ("::1", 8815)), ("h:65535", ("h", 65535))],
)
def test_an_address_is_host_and_port(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address, "flight") == expected


@pytest.mark.parametrize("address", ["8815", "h:", ":1", "h:x", "h:65536"])
def test_anything_else_is_told(address: str) -> None:
    with pytest.raises(InvalidRequest, match=f"flight = '{address}' is not HOST:PORT"):
        split_address(address, "flight")


def test_a_port_in_use_is_told_with_the_remedy() -> None:
    with bound("127.0.0.1:0", "http") as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Conflict, match=r"already in use\. Stop what uses it, or .* --flight"):
            bound(address, "flight")


def test_one_port_for_both_doors_is_told_before_anything_is_made(tmp_path: Path) -> None:
    doors = {"flight": "127.0.0.1:8815", "http": "127.0.0.1:8815"}
    settings = Settings(data=tmp_path / "data", **doors)
    with ExitStack() as things, pytest.raises(InvalidRequest, match="flight and http are both"):
        _reserve(settings, things)
    assert not (tmp_path / "data").exists()


def test_an_unknown_host_is_told() -> None:
    with pytest.raises(InvalidRequest, match=r"this host is not known \([^\[]*\)"):
        bound("no-such-host.invalid:1", "flight")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_this_machine_alone(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.org", "::"])
def test_other_machines_reach_anything_else(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("door", ["flight", "http"])
def test_without_authentication_only_this_machine_is_served(tmp_path: Path, door: str) -> None:
    addresses = {"flight": "127.0.0.1:0", "http": "127.0.0.1:0"} | {door: "0.0.0.0:0"}
    settings = Settings(data=tmp_path, insecure_no_auth=True, **addresses)
    with ExitStack() as things, pytest.raises(InvalidRequest, match=f"{door} = '0.0.0.0:0' is not"):
        _reserve(settings, things)


def test_without_authentication_a_warning_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(
        data=tmp_path, insecure_no_auth=True, flight="127.0.0.1:0", http="127.0.0.1:0"
    )
    with ExitStack() as things:
        assert isinstance(_reserve(settings, things), socket.socket)
    assert "WARNING" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with ExitStack() as things, pytest.raises(InvalidRequest, match=r"cannot be written.*--data"):
        _reserve(Settings(data=tmp_path / "file"), things)


def test_a_missing_certificate_is_told(tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path, tls_certificate=tmp_path / "c.pem", tls_private_key=tmp_path / "k.pem"
    )
    with ExitStack() as things, pytest.raises(InvalidRequest, match=r"tls_certificate = .*c\.pem"):
        _reserve(settings, things)


@pytest.mark.parametrize("name", ["tls_certificate", "tls_private_key", "tls_client_ca"])
def test_what_is_no_pem_is_told_before_anything_is_made(tmp_path: Path, name: str) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    chain, key, roots = (tmp_path / f"{part}.pem" for part in ("chain", "key", "roots"))
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(roots)
    none = tmp_path / "none.pem"
    none.write_text("this is none\n")
    files = {"tls_certificate": chain, "tls_private_key": key, "tls_client_ca": roots}
    doors = {"flight": "127.0.0.1:0", "http": "127.0.0.1:0"}
    with ExitStack() as things:
        _reserve(Settings(data=tmp_path / "fine", **files, **doors), things)
    settings = Settings(data=tmp_path / "data", **files | {name: none}, **doors)
    with ExitStack() as things, pytest.raises(InvalidRequest, match=f"{name} = .*none.pem"):
        _reserve(settings, things)
    assert not (tmp_path / "data").exists()


def test_log_lines_can_be_json() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, "a %s", ("b",), sys.exc_info())
    line = json.loads(JsonLines().format(record))
    assert (line["level"], line["message"]) == ("ERROR", "a b")
    assert "ValueError: x" in line["exception"]


def test_log_lines_tell_whose_request_they_are_of() -> None:
    request = ServedRequest("http", "r-1")
    request.principal = "key:abc"
    record = logging.LogRecord("n", logging.INFO, "f", 1, "a", (), None)
    other = logging.LogRecord("n", logging.INFO, "f", 1, "a", (), None)
    token = serving.set(request)
    RequestFields().filter(record)
    serving.reset(token)
    RequestFields().filter(other)
    line = json.loads(JsonLines().format(record))
    assert (line["request_id"], line["principal"]) == ("r-1", "key:abc")
    assert logging.Formatter("%(name)s%(request)s").format(record) == "n [r-1 key:abc]"
    assert "request_id" not in json.loads(JsonLines().format(other))
    assert logging.Formatter("%(name)s%(request)s").format(other) == "n"
