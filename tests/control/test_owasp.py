"""A walk through OWASP's API Security Top 10 of 2023, one class a risk, over a real socket.

What is tested in more depth elsewhere is named there; here stands what an attacker tries first.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.client import connect
from tests.fix_http import TwoDoors

API = "/api/v1"
HIDDEN = "4000000001"


@pytest.fixture(scope="module", autouse=True)
def tables(doors: TwoDoors, api: httpx.Client) -> None:
    """A table of which Ada sees two columns of her own rows, and one that she does not see."""
    rows = pa.table(
        {
            "id": pa.array([1, 2], pa.int64()),
            "owner": ["ada", "bob"],
            "salary": pa.array([HIDDEN, HIDDEN]),
        }
    )
    with connect(doors.flight.url, doors.key) as client:
        client.put("staff", rows, key=["id"])
        client.put("vault", rows)
    made(api.post(f"{API}/auth/roles", json={"name": "colleague"}))
    grant = {
        "role": "colleague",
        "actions": ["read"],
        "table": "staff",
        "columns": ["id", "owner"],
        "rows": "owner = current_user",
    }
    made(api.post(f"{API}/auth/grants", json=grant))
    update = grant | {"actions": ["update"], "columns": ["owner"]}
    made(api.post(f"{API}/auth/grants", json=update))
    user = {"name": "ada", "password": "correct horse battery", "roles": ["colleague"]}
    made(api.post(f"{API}/auth/users", json=user))


@pytest.fixture(scope="module")
def ada(doors: TwoDoors, api: httpx.Client) -> Any:
    key = made(api.post(f"{API}/auth/api-keys", json={"name": "laptop", "owner": "ada"}))
    with doors.client(key.json()["key"]) as client:
        yield client


def made(answer: httpx.Response) -> httpx.Response:
    assert answer.is_success, answer.text
    return answer


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


class TestBrokenObjectLevelAuthorization:
    """API1: an identifier is no permission; more in test_owasp_background."""

    def test_rows_of_others_are_like_rows_that_are_not(self, ada: httpx.Client) -> None:
        hers, bobs, nobodys = (ada.get(f"{API}/tables/staff/rows/key/{n}") for n in (1, 2, 99))
        assert "ada" in hers.text
        assert code(bobs) == code(nobodys) == (404, "row_not_found")

    def test_hidden_tables_are_like_missing_ones(self, ada: httpx.Client) -> None:
        for path in ("rows", "rows/1"):
            hidden, missing = (ada.get(f"{API}/tables/{t}/{path}") for t in ("vault", "vaulx"))
            assert code(hidden) == code(missing)
            assert hidden.json()["error"]["message"] == missing.json()["error"]["message"].replace(
                "vaulx", "vault"
            )

    def test_a_cursor_shows_what_its_reader_may_see(
        self, ada: httpx.Client, api: httpx.Client
    ) -> None:
        page = {"limit": "1", "order_by": "id", "cursor": ""}
        cursor = made(api.get(f"{API}/tables/staff/rows", params=page)).json()["next_cursor"]
        stolen = ada.get(f"{API}/tables/staff/rows", params=page | {"cursor": cursor})
        assert HIDDEN not in stolen.text
        assert "bob" not in stolen.text

    def test_keys_of_others_cannot_be_touched(self, ada: httpx.Client, api: httpx.Client) -> None:
        others = made(api.post(f"{API}/auth/api-keys", json={"name": "x", "roles": ["reader"]}))
        other = others.json()["id"]
        for answer in (
            ada.delete(f"{API}/auth/api-keys/{other}"),
            ada.post(f"{API}/auth/api-keys/{other}/rotate", json={}),
        ):
            assert answer.status_code in (403, 404), answer.text


class TestBrokenAuthentication:
    """API2: more in test_tokens, test_users, test_api_keys and test_certificates."""

    def test_a_credential_in_the_url_is_none(self, doors: TwoDoors) -> None:
        with doors.client("") as nobody:
            for name in ("api_key", "access_token", "key", "token"):
                answer = nobody.get(f"{API}/namespaces", params={name: doors.key})
                assert code(answer) == (401, "unauthenticated")
                assert doors.key not in answer.text

    def test_a_token_without_signature_is_refused(self, doors: TwoDoors) -> None:
        def part(value: dict[str, Any]) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

        forged = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({'sub': 'user:ada'})}."
        with doors.client(forged) as forger:
            answer = forger.get(f"{API}/namespaces")
        assert code(answer) == (401, "unauthenticated")
        assert forged not in answer.text

    def test_guessing_is_slowed_down(self, doors: TwoDoors) -> None:
        body = {"username": "ada", "password": "wrong"}
        with doors.client("") as nobody:
            answers = [nobody.post(f"{API}/auth/token", json=body) for _ in range(15)]
        assert code(answers[0])[0] == 401
        assert code(answers[-1]) == (429, "limit_exceeded")
        assert int(answers[-1].headers["retry-after"]) >= 1


class TestBrokenObjectPropertyLevelAuthorization:
    """API3: neither more to see nor more to set."""

    @pytest.mark.parametrize(
        "parameters",
        [
            {"select": "salary"},
            {"where": "salary = '1'"},
            {"where": '{"salary": {"gt": "0"}}'},
            {"order_by": "salary"},
            {"aggregate": "max(salary)"},
            {"group_by": "salary"},
        ],
    )
    def test_a_hidden_column_is_like_a_missing_one(
        self, ada: httpx.Client, parameters: dict[str, str]
    ) -> None:
        hidden = ada.get(f"{API}/tables/staff/rows", params=parameters)
        missing = ada.get(
            f"{API}/tables/staff/rows",
            params={k: v.replace("salary", "salarx") for k, v in parameters.items()},
        )
        assert code(hidden) == code(missing)
        assert hidden.status_code == 400
        assert HIDDEN not in hidden.text

    def test_rows_show_no_more_than_is_granted(self, ada: httpx.Client) -> None:
        answer = made(ada.get(f"{API}/tables/staff/rows"))
        assert answer.json()["rows"] == [{"id": 1, "owner": "ada"}]
        query = made(ada.post(f"{API}/query", json={"sql": "select * from staff"}))
        assert query.json()["rows"] == answer.json()["rows"]

    def test_nobody_gives_herself_roles(self, ada: httpx.Client) -> None:
        for change in ({"roles": ["admin"]}, {"workspace": "other"}, {"disabled": False}):
            assert ada.patch(f"{API}/auth/users/ada", json=change).status_code == 403
        assert ada.get(f"{API}/auth/me").json()["roles"] == ["colleague"]
        key = {"name": "more", "roles": ["admin"]}
        assert ada.post(f"{API}/auth/api-keys", json=key).status_code == 403

    def test_fields_that_are_not_known_are_refused(self, api: httpx.Client) -> None:
        user = {"name": "eve", "password": "correct horse battery", "is_admin": True}
        assert code(api.post(f"{API}/auth/users", json=user)) == (400, "invalid_request")
        assert api.get(f"{API}/auth/users/eve").status_code == 404

    def test_the_column_that_says_whose_a_row_is_cannot_be_set(self, ada: httpx.Client) -> None:
        change = {"set": {"owner": "bob"}, "where": {"id": 1}}
        assert ada.patch(f"{API}/tables/staff/rows", json=change).status_code == 403

    def test_no_answer_holds_a_secret(self, api: httpx.Client) -> None:
        text = api.get(f"{API}/auth/users").text + api.get(f"{API}/auth/api-keys").text
        for word in ("argon2", "hash", "password_hash", "secret"):
            assert word not in text


class TestUnrestrictedResourceConsumption:
    """API4: more in test_limits and test_compression."""

    def test_too_many_rows_of_json(self, api: httpx.Client) -> None:
        rows = [{"id": n, "owner": "x", "salary": "1"} for n in range(1001)]
        answer = api.post(f"{API}/tables/staff/rows", json=rows)
        assert code(answer) == (413, "too_large")

    def test_a_bomb(self, api: httpx.Client) -> None:
        bomb = gzip.compress(b"[" + b" " * 200_000_000 + b"]", compresslevel=9)
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        answer = api.post(f"{API}/tables/staff/rows", content=bomb, headers=headers)
        assert code(answer) == (413, "too_large")

    @pytest.mark.parametrize(
        "where",
        ["[" * 5000, '{"or":[' * 3000 + "{}" + "]}" * 3000, "abs(" * 9000 + "1" + ")" * 9000],
    )
    def test_deep_nesting(self, api: httpx.Client, where: str) -> None:
        body = {"where": where, "set": {"owner": "x"}}
        assert api.patch(f"{API}/tables/staff/rows", json=body).status_code in (400, 413)

    def test_a_body_that_is_all_brackets(self, api: httpx.Client) -> None:
        for path in ("/query", "/batch/operations", "/tables/staff/rows", "/auth/users"):
            headers = {"content-type": "application/json"}
            answer = api.post(f"{API}{path}", content=b"[" * 100_000, headers=headers)
            assert 400 <= answer.status_code < 500, path


class TestBrokenFunctionLevelAuthorization:
    """API5: what administers is for administrators."""

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/auth/users", None),
            ("POST", "/auth/users", {"name": "eve", "roles": ["admin"]}),
            ("PATCH", "/auth/users/ada", {"roles": ["admin"]}),
            ("DELETE", "/auth/users/ada", None),
            ("POST", "/auth/roles", {"name": "mine"}),
            ("DELETE", "/auth/roles/colleague", None),
            ("POST", "/auth/grants", {"role": "colleague", "actions": ["admin"]}),
            ("POST", "/workspaces", {"name": "mine"}),
            ("PATCH", "/workspaces/default", {"limits": {}}),
            ("GET", "/audit", None),
            ("POST", "/namespaces", {"namespace": "mine"}),
            ("DELETE", "/namespaces/main", None),
            ("DELETE", "/tables/staff/rows?all=true", None),
            ("POST", "/tables/staff/rows", {"id": 3, "owner": "ada"}),
            ("POST", "/query", {"sql": "drop table staff"}),
        ],
    )
    def test_a_colleague_may_not(
        self, ada: httpx.Client, doors: TwoDoors, method: str, path: str, body: Any
    ) -> None:
        before = doors.services.engine("lake").snapshot()  # type: ignore[attr-defined]
        answer = ada.request(method, f"{API}{path}", json=body)
        assert answer.status_code in (403, 404), answer.text
        assert doors.services.engine("lake").snapshot() == before  # type: ignore[attr-defined]


class TestUnrestrictedAccessToSensitiveFlows:
    """API6: what is dear has a rate of its own."""

    def test_batches_have_a_rate(self, start_doors: Callable[..., TwoDoors]) -> None:
        doors = start_doors(limit_batch="2/minute")
        with doors.client() as client:
            answers = [
                client.post(f"{API}/batch/operations", json={"operations": []}) for _ in "abc"
            ]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[0].headers["ratelimit-remaining"] == "1"
        assert 1 <= int(answers[2].headers["retry-after"]) <= 60


class TestServerSideRequestForgery:
    """API7: neither SQL nor a parameter makes the server fetch what a client names.

    What webhooks and imports may dial is in test_owasp_background.
    """

    @pytest.mark.parametrize(
        "sql",
        [
            "select * from read_csv('http://169.254.169.254/latest/meta-data')",
            "select * from read_parquet('s3://bucket/x.parquet')",
            "select * from 'http://127.0.0.1/x.csv'",
            "select * from read_text('/etc/passwd')",
            "copy staff to 'http://127.0.0.1/'",
            "attach 'http://127.0.0.1/x.db'",
            "install httpfs from 'http://127.0.0.1/'",
        ],
    )
    def test_sql_reaches_no_network_and_no_file(self, api: httpx.Client, sql: str) -> None:
        answer = api.post(f"{API}/query", json={"sql": sql})
        assert answer.status_code in (400, 403, 404, 501), answer.text

    def test_no_route_takes_an_address(self, api: httpx.Client) -> None:
        document = api.get("/openapi.json").json()
        names = {
            parameter["name"]
            for path in document["paths"].values()
            for operation in path.values()
            for parameter in operation.get("parameters", ())
        }
        assert not names & {"url", "uri", "callback", "webhook", "source_url", "redirect"}


class TestSecurityMisconfiguration:
    """API8: more in test_browsers."""

    def test_answers_say_what_browsers_must_not_do(self, api: httpx.Client) -> None:
        headers = api.get(f"{API}/namespaces").headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers

    def test_errors_tell_nothing_of_the_inside(self, api: httpx.Client) -> None:
        for answer in (
            api.post(f"{API}/query", content=b"\x00\xff"),
            api.get(f"{API}/tables/%ff%fe/rows"),
            api.get(f"{API}/tables/staff/rows", params={"where": "1/0 and x"}),
            api.request("TRACE", f"{API}/namespaces"),
        ):
            assert 400 <= answer.status_code < 500
            assert set(answer.json()["error"]) == {
                "code", "message", "retryable", "request_id", "details",
            }  # fmt: skip
            for word in ("Traceback", ".py", "site-packages", "/lake/", "ducklake_"):
                assert word not in answer.text


class TestImproperInventoryManagement:
    """API9: what is served is documented."""

    def test_every_route_is_in_the_document(self, doors: TwoDoors, api: httpx.Client) -> None:
        documented = set(api.get("/openapi.json").json()["paths"])
        for path in documented:
            assert path.startswith((API, "/health/", "/metrics")), path

    def test_there_is_no_older_version(self, api: httpx.Client) -> None:
        for path in ("/api/v0/namespaces", "/namespaces", "/v1/namespaces", "/admin", "/debug"):
            assert api.get(path).status_code == 404


class TestUnsafeConsumption:
    """API10: the one thing that is fetched are an issuer's keys: see test_issuer."""

    def test_no_issuer_is_trusted_unless_it_is_named(self, doors: TwoDoors) -> None:
        assert doors.services.settings.oidc_issuer is None
        header = base64.urlsafe_b64encode(b'{"alg":"RS256","jku":"http://127.0.0.1:1/"}').decode()
        with doors.client(f"{header.rstrip('=')}.e30.e30") as forger:
            assert code(forger.get(f"{API}/namespaces")) == (401, "unauthenticated")
