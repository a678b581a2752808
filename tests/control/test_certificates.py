"""Clients that their certificates stand for, on both doors."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from pyarrow import flight

from control_api.certificates import certificate_name
from tests.fix_client import Client, refusal
from tests.fix_http import TwoDoors
from tests.fix_tls import roots

ME = "/api/v1/auth/me"
NAMESPACES = "/api/v1/namespaces"


@pytest.fixture
def doors(start_doors: Callable[..., TwoDoors], mutual_tls: dict[str, Any]) -> TwoDoors:
    opened = start_doors(**mutual_tls, tls_client_identity=True)
    create = opened.services.users.create
    create("ann", ["reader"], created_by="test", certificate="ann.example.org")
    create("bob", ["reader"], created_by="test", certificate="Bob Common")
    return opened


@pytest.fixture
def http(
    doors: TwoDoors, authority: trustme.CA, tmp_path: Path
) -> Iterator[Callable[..., httpx.Client]]:
    """Opens HTTP clients that show a certificate."""
    opened: list[httpx.Client] = []

    def connect(certificate: trustme.LeafCert, **headers: str) -> httpx.Client:
        context = ssl.create_default_context(cadata=roots(authority).decode())
        path = tmp_path / "shown.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(path)
        context.load_cert_chain(path)
        url = doors.url.replace("http:", "https:")
        client = httpx.Client(base_url=url, verify=context, headers=headers)
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.close()


def over_flight(
    doors: TwoDoors, authority: trustme.CA, mine: trustme.LeafCert, key: str | None = None
) -> Client:
    return Client(
        doors.flight.url,
        key,
        tls_root_certs=roots(authority),
        cert_chain=mine.cert_chain_pems[0].bytes(),
        private_key=mine.private_key_pem.bytes(),
    )


def certificates(authority: trustme.CA) -> dict[str, trustme.LeafCert]:
    return {
        "ann": authority.issue_cert("ann.example.org", "other.example.org"),
        # Without alternative names the subject's common name counts.
        "bob": authority.issue_cert(common_name="Bob Common"),
        "second": authority.issue_cert("other.example.org", "ann.example.org"),
        "common beside": authority.issue_cert("x.example.org", common_name="Bob Common"),
        "stranger": authority.issue_cert("stranger.example.org"),
    }


def test_both_doors_know_whose_certificate_it_is(
    doors: TwoDoors, http: Callable[..., httpx.Client], authority: trustme.CA
) -> None:
    for who, mine in certificates(authority).items():
        answer = http(mine).get(ME)
        with closing(over_flight(doors, authority, mine)) as client:
            if who in ("ann", "bob"):
                assert answer.json()["id"] == f"user:{who}"
                assert answer.json()["credential"] == "certificate"
                assert client.action("list_namespaces")["namespaces"]
                refused = refusal(lambda: client.action("create_namespace", namespace="x"))
                assert refused.code == "forbidden"
            else:
                assert answer.status_code == 401, who
                said = refusal(lambda: client.action("list_namespaces")).message
                assert said == answer.json()["error"]["message"]
                assert "stands for no user" in said


def test_another_credential_goes_first(
    doors: TwoDoors, http: Callable[..., httpx.Client], authority: trustme.CA
) -> None:
    mine = authority.issue_cert("ann.example.org")
    assert http(mine, authorization=f"Bearer {doors.key}").get(ME).json()["name"] == "admin"
    assert http(mine, authorization="Bearer pf_wrong").get(ME).status_code == 401
    with closing(over_flight(doors, authority, mine, doors.key)) as client:
        assert client.action("create_namespace", namespace="made")["commit"]
    with closing(over_flight(doors, authority, mine, "pf_wrong")) as client:
        assert refusal(lambda: client.action("health")).code == "unauthenticated"


def test_a_disabled_user_s_certificate_opens_nothing(
    doors: TwoDoors, http: Callable[..., httpx.Client], authority: trustme.CA
) -> None:
    mine = authority.issue_cert("ann.example.org")
    client = http(mine)
    assert client.get(ME).status_code == 200
    doors.services.users.set_disabled("ann", True)
    assert client.get(ME).status_code == 401
    doors.services.users.set_disabled("ann", False)
    doors.services.users.change("ann", {"certificate": None})
    assert client.get(ME).status_code == 401


def test_pages_of_other_origins_do_not_act_by_a_certificate(
    doors: TwoDoors, http: Callable[..., httpx.Client], authority: trustme.CA
) -> None:
    client = http(authority.issue_cert("ann.example.org"))
    own = str(client.base_url).rstrip("/")
    assert client.get(ME, headers={"origin": "https://evil.example.org"}).status_code == 401
    assert client.get(ME, headers={"origin": "null"}).status_code == 401
    assert client.get(ME, headers={"origin": own}).status_code == 200


def test_there_is_no_handshake_then(doors: TwoDoors, authority: trustme.CA) -> None:
    mine = authority.issue_cert("ann.example.org")
    refused = pytest.raises((flight.FlightError, NotImplementedError), match="has no handshake")
    with closing(over_flight(doors, authority, mine)) as client, refused:
        client.flight.authenticate_basic_token("any", doors.key)


def test_certificates_count_only_where_the_settings_say_so(
    start_doors: Callable[..., TwoDoors], mutual_tls: dict[str, Any], authority: trustme.CA
) -> None:
    opened = start_doors(**mutual_tls)
    opened.services.users.create(
        "ann", ["reader"], created_by="test", certificate="ann.example.org"
    )
    with closing(over_flight(opened, authority, authority.issue_cert("ann.example.org"))) as client:
        assert refusal(lambda: client.action("health")).code == "unauthenticated"
        assert client.flight.authenticate_basic_token("any", opened.key)


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        ({}, None),
        ({"subject": ((("commonName", "ann"),),)}, "ann"),
        ({"subject": ((("countryName", "AT"),), (("commonName", "ann"),))}, "ann"),
        ({"subjectAltName": (("othername", "<unsupported>"), ("email", "a@b"))}, "a@b"),
        ({"subjectAltName": (("IP Address", "0:0:0:0:0:0:0:1"),)}, "::1"),
        ({"subjectAltName": (("DNS", "a"),), "subject": ((("commonName", "b"),),)}, "a"),
    ],
)
def test_the_name_of_a_certificate(certificate: dict[str, Any], name: str | None) -> None:
    assert certificate_name(certificate) == name
