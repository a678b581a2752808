"""OWASP's first, third and seventh risk where work is done in the background, through both doors.

Whose a job is, and with it a schedule, a webhook, a delivery, an upload or a result, is all that
counts: an identifier is no permission.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import PixelflightError
from flight_server.testing.server import LocalServer, local_server
from tests.fix_http import TwoDoors
from tests.fix_permissions import made, new_workspace
from tests.fix_server import QUIET

V1 = "/api/v1"
BATCH = f"{V1}/batch"
SECRET = "of nobody's business"
EXPORT = {"table_name": "staff", "format": "csv"}
YEARLY = "0 4 1 1 *"
# A hook at rest, so that its address is never dialled.
HOOK = {"url": "https://93.184.216.34/", "events": ["job.started"], "active": False}


class Ask(NamedTuple):
    """One request about something, and the action that is the same over Flight, if there is one."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    action: str | None
    told: Mapping[str, Any]


J, R, S = {"job_id": "{job}"}, {"job_id": "{job}"}, {"schedule_id": "{schedule}"}
H, D = {"webhook": "{hook}"}, {"webhook": "{hook}", "delivery": "{delivery}"}
U, IMPORT = {"upload_id": "{upload}"}, {"table_name": "staff", "upload_id": "{upload}"}
OF_JOB = {"webhook": "{job}"}
JOB_OF_IMPORT = {"job_type": "data_import", "parameters": IMPORT}
ASKED = [
    Ask("GET", "/jobs/{job}", None, "get_job", J),
    Ask("GET", "/jobs/{job}/logs", None, "job_logs", J),
    Ask("GET", "/jobs/{job}/download", None, "read_result", R),
    Ask("DELETE", "/jobs/{job}", None, "cancel_job", J),
    Ask("POST", "/jobs/{job}/retry", None, "retry_job", J),
    Ask("GET", "/schedules/{schedule}", None, None, S),
    Ask("PATCH", "/schedules/{schedule}", {"active": False}, "change_schedule", S | {"active": 0}),
    Ask("DELETE", "/schedules/{schedule}", None, "drop_schedule", S),
    Ask("GET", "/webhooks/{hook}", None, "describe_webhook", H),
    Ask("PATCH", "/webhooks/{hook}", {"events": ["*"]}, "change_webhook", H | {"events": ["*"]}),
    Ask("POST", "/webhooks/{hook}/rotate", None, "rotate_webhook", H),
    Ask("POST", "/webhooks/{hook}/test", None, "test_webhook", H),
    Ask("GET", "/webhooks/{hook}/deliveries", None, "list_deliveries", H),
    Ask("GET", "/webhooks/{job}/deliveries", None, "list_deliveries", OF_JOB),
    Ask("POST", "/webhooks/{hook}/deliveries/{delivery}/replay", None, "replay_delivery", D),
    Ask("DELETE", "/webhooks/{hook}", None, "delete_webhook", H),
    Ask("GET", "/uploads/{upload}", None, "describe_upload", U),
    Ask("PUT", "/uploads/{upload}?offset=0", None, None, U),
    Ask("POST", "/uploads/{upload}/complete", {}, "complete_upload", U),
    Ask("POST", "/import/preview", IMPORT, "preview_import", IMPORT),
    Ask("POST", "/import", IMPORT, "import_data", IMPORT),
    Ask("POST", "/jobs", JOB_OF_IMPORT, "submit_job", JOB_OF_IMPORT),
    Ask("POST", "/schedules", {"cron": YEARLY, "job": JOB_OF_IMPORT}, "create_schedule", {}),
    Ask("DELETE", "/uploads/{upload}", None, "drop_upload", U),
]
MISSING = {
    "job": "a" * 24,
    "schedule": "b" * 24,
    "hook": "wh_" + "c" * 20,
    "delivery": "msg_" + "d" * 32,
    "upload": "e" * 32,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """One whose jobs are done."""
    with local_server(tmp_path_factory.mktemp("background"), **QUIET | {"job_workers": 1}) as one:
        with connect(one.url, one.key) as client:
            client.put("staff", pa.table({"id": [1], "pay": [SECRET]}))
        yield one


@pytest.fixture(scope="module")
def keys(doors: TwoDoors, api: httpx.Client) -> dict[str, str]:
    """Ada's, one of hers that may do less, and those who want what is hers."""
    user = {"name": "ada", "password": "correct horse battery", "roles": ["writer"]}
    made(api.post(f"{V1}/auth/users", json=user))
    elsewhere = new_workspace(api)
    return {
        "ada": doors.key_of(name="laptop", owner="ada"),
        "narrow": doors.key_of(name="phone", owner="ada", scopes=["insert:main.staff"]),
        "colleague": doors.key_of("writer", name="colleague"),
        "outsider": doors.key_of("admin", name="outsider", workspace=elsewhere),
    }


@pytest.fixture(scope="module")
def ada(doors: TwoDoors, keys: dict[str, str]) -> Iterator[httpx.Client]:
    with doors.client(keys["ada"]) as client:
        yield client


@pytest.fixture(scope="module")
def ids(doors: TwoDoors, ada: httpx.Client) -> dict[str, str]:
    """One of everything that is Ada's."""
    job = made(ada.post(f"{BATCH}/export", json=EXPORT))["job_id"]
    hook = made(ada.post(f"{BATCH}/webhooks", json=HOOK))["id"]
    store = doors.services.webhooks.store
    scheduled = {"cron": YEARLY, "job": {"job_type": "data_export", "parameters": EXPORT}}
    upload = made(ada.post(f"{BATCH}/uploads", json={"name": "staff.csv"}))["upload_id"]
    assert ada.put(f"{BATCH}/uploads/{upload}", content=b"id,pay\n2,x\n").is_success
    assert ada.post(f"{BATCH}/uploads/{upload}/complete", json={}).is_success
    until = time.monotonic() + 60
    while ada.get(f"{BATCH}/jobs/{job}").json()["status"] != "completed":
        assert time.monotonic() < until
        time.sleep(0.02)
    return {
        "job": job,
        "schedule": made(ada.post(f"{BATCH}/schedules", json=scheduled))["schedule_id"],
        "hook": hook,
        "delivery": store.test(store.find(hook)).id,
        "upload": upload,
    }


def told_by_http(client: httpx.Client, ask: Ask, ids: Mapping[str, str]) -> tuple[str, str]:
    """The code and the message, with no id in it."""
    path = BATCH + ask.path.format_map(ids)
    answer = client.request(ask.method, path, json=filled(ask.body, ids))
    assert answer.status_code == 404, answer.text
    error = answer.json()["error"]
    return error["code"], without(error["message"], ids)


def told_by_flight(client: Client, ask: Ask, ids: Mapping[str, str]) -> tuple[str, str]:
    """The same as an action."""
    body = filled(ask.told or ask.body, ids)
    with pytest.raises(PixelflightError) as caught:
        client._act(ask.action or "", **body)
    return caught.value.code.name.lower(), without(caught.value.message, ids)


def filled(body: Any, ids: Mapping[str, str]) -> Any:
    """The body with ids where their names stand in braces."""
    text = json.dumps(body)
    for name, value in ids.items():
        text = text.replace(f"{{{name}}}", value)
    return json.loads(text)


def without(message: str, ids: Mapping[str, str]) -> str:
    for value in ids.values():
        message = message.replace(value, "…")
    return message


class TestBrokenObjectLevelAuthorization:
    """API1: whoever knows an id knows no more than who does not."""

    @pytest.mark.parametrize("who", ["colleague", "outsider"])
    def test_what_is_hers_is_like_what_is_not(
        self, doors: TwoDoors, ada: httpx.Client, keys: Any, ids: dict[str, str], who: str
    ) -> None:
        before = seen(ada, ids)
        with doors.client(keys[who]) as http, connect(doors.flight.url, keys[who]) as flight:
            for ask in ASKED:
                hidden = told_by_http(http, ask, ids)
                assert hidden == told_by_http(http, ask, MISSING), ask
                if ask.action is not None:
                    assert told_by_flight(flight, ask, ids) == hidden, ask
                    assert told_by_flight(flight, ask, MISSING) == hidden, ask
            lists(http, ids)
        assert seen(ada, ids) == before

    def test_a_credential_that_may_do_less_does_nothing_with_what_may_do_more(
        self, doors: TwoDoors, ada: httpx.Client, keys: Any, ids: dict[str, str]
    ) -> None:
        before = seen(ada, ids)
        asked = [one for one in ASKED if "upload" not in one.path and "import" not in str(one)]
        assert len(asked) > 12
        with doors.client(keys["narrow"]) as http, connect(doors.flight.url, keys["narrow"]) as own:
            for ask in asked:
                hidden = told_by_http(http, ask, ids)
                assert hidden == told_by_http(http, ask, MISSING), ask
                if ask.action is not None:
                    assert told_by_flight(own, ask, ids) == hidden, ask
            lists(http, ids)
            mine = {"job_type": "media_processing", "parameters": {}}
            job = made(http.post(f"{BATCH}/jobs", json=mine))["job_id"]
            assert http.get(f"{BATCH}/jobs/{job}").is_success
            assert [one["job_id"] for one in http.get(f"{BATCH}/jobs").json()["jobs"]] == [job]
        assert seen(ada, ids) == before
        assert ada.get(f"{BATCH}/jobs/{job}").is_success

    def test_who_gets_the_name_of_somebody_who_has_gone_gets_nothing_else(
        self, doors: TwoDoors, api: httpx.Client
    ) -> None:
        user = {"name": "eve", "password": "correct horse battery", "roles": ["writer"]}
        made(api.post(f"{V1}/auth/users", json=user))
        with doors.client(doors.key_of(name="of eve", owner="eve")) as eve:
            scheduled = {"cron": YEARLY, "job": {"job_type": "media_processing"}}
            ids = {
                "job": made(eve.post(f"{BATCH}/export", json=EXPORT))["job_id"],
                "schedule": made(eve.post(f"{BATCH}/schedules", json=scheduled))["schedule_id"],
                "hook": made(eve.post(f"{BATCH}/webhooks", json=HOOK))["id"],
                "upload": made(eve.post(f"{BATCH}/uploads", json={"name": "a.csv"}))["upload_id"],
            }
            query: dict[str, Any] = {
                "json": {"sql": "select 1 as a"},
                "headers": {"idempotency-key": "first"},
            }
            assert eve.post(f"{V1}/query", **query).is_success
        assert api.delete(f"{V1}/auth/users/eve").is_success
        made(api.post(f"{V1}/auth/users", json=user))
        with doors.client(doors.key_of(name="of the other eve", owner="eve")) as eve:
            lists(eve, ids)
            for ask in (one for one in ASKED if one.method == "GET"):
                told_by_http(eve, ask, ids | {"delivery": ""})
            assert "idempotency-replayed" not in eve.post(f"{V1}/query", **query).headers
        # Who administers the server sees what has come of it.
        assert api.get(f"{BATCH}/jobs/{ids['job']}").json()["created_by"] == "eve"
        assert not api.get(f"{BATCH}/schedules/{ids['schedule']}").json()["active"]
        assert api.get(f"{BATCH}/webhooks/{ids['hook']}").status_code == 404

    def test_who_gets_the_name_of_a_workspace_that_has_gone_gets_nothing_else(
        self, doors: TwoDoors, api: httpx.Client
    ) -> None:
        name = new_workspace(api)
        with doors.client(doors.key_of("admin", name="of the first", workspace=name)) as first:
            job = {"job_type": "media_processing"}
            ids = {
                "job": made(first.post(f"{BATCH}/jobs", json=job))["job_id"],
                "schedule": made(
                    first.post(f"{BATCH}/schedules", json={"cron": YEARLY, "job": job})
                )["schedule_id"],
                "hook": made(first.post(f"{BATCH}/webhooks", json=HOOK))["id"],
                "upload": made(first.post(f"{BATCH}/uploads", json={"name": "a"}))["upload_id"],
            }
            key = first.get(f"{V1}/auth/me").json()["id"].removeprefix("key:")
        assert api.delete(f"{V1}/auth/api-keys/{key}").is_success
        assert api.patch(f"{V1}/workspaces/{name}", json={"namespaces": []}).is_success
        assert api.delete(f"{V1}/workspaces/{name}").is_success
        made(api.post(f"{V1}/workspaces", json={"name": name}))
        with doors.client(doors.key_of("admin", name="of the other", workspace=name)) as other:
            lists(other, ids)
            for ask in (one for one in ASKED if one.method == "GET"):
                told_by_http(other, ask, ids | {"delivery": ""})
        assert not api.get(f"{BATCH}/schedules/{ids['schedule']}").json()["active"]


def seen(ada: httpx.Client, ids: Mapping[str, str]) -> list[Any]:
    """What is Ada's, as she sees it."""
    paths = ["/jobs/{job}", "/jobs/{job}/download", "/schedules/{schedule}", "/webhooks/{hook}"]
    paths += ["/webhooks/{hook}/deliveries", "/uploads/{upload}"]
    answers = [ada.get(BATCH + path.format_map(ids)) for path in paths]
    assert all(answer.is_success for answer in answers)
    assert SECRET in answers[1].text
    return [answer.text for answer in answers]


def lists(client: httpx.Client, ids: Mapping[str, str]) -> None:
    """No list has anything of hers."""
    for path in ("jobs", "schedules", "webhooks", f"jobs?schedule_id={ids['schedule']}"):
        answer = client.get(f"{BATCH}/{path}")
        assert answer.is_success
        assert not any(one in answer.text for one in ids.values())


class TestBrokenObjectPropertyLevelAuthorization:
    """API3: what the server says of a thing is nobody's to set."""

    @pytest.mark.parametrize(
        ("path", "action", "body", "fields"),
        [
            ("jobs", "submit_job", {"job_type": "media_processing"}, "created_by workspace"),
            (
                "jobs",
                "submit_job",
                {"job_type": "media_processing"},
                "status result attempt job_id",
            ),
            ("jobs", "submit_job", {"job_type": "media_processing"}, "scopes principal_id owner"),
            ("export", None, EXPORT, "created_by workspace status result scopes download"),
            ("import", "import_data", {"table_name": "n"}, "created_by workspace scopes status"),
            (
                "schedules",
                "create_schedule",
                {"cron": YEARLY},
                "created_by workspace next_at scopes",
            ),
            ("webhooks", "create_webhook", HOOK, "id created_by workspace scopes disabled_reason"),
            ("uploads", "create_upload", {"name": "a"}, "upload_id offset complete workspace"),
        ],
    )
    def test_it_is_refused(
        self,
        ada: httpx.Client,
        doors: TwoDoors,
        keys: Any,
        path: str,
        action: str | None,
        body: dict[str, Any],
        fields: str,
    ) -> None:
        with connect(doors.flight.url, keys["ada"]) as client:
            for field in fields.split():
                answer = ada.post(f"{BATCH}/{path}", json={**body, field: "admin"})
                assert answer.status_code == 400, field
                assert f"'{field}'" in answer.text or f"body.{field}" in answer.text
                if action is not None:
                    with pytest.raises(PixelflightError, match=field):
                        client._act(action, **body, **{field: "admin"})

    def test_nor_later(self, ada: httpx.Client, ids: dict[str, str]) -> None:
        before = seen(ada, ids)
        for path, body in (
            ("schedules/{schedule}", {"active": True, "created_by": "admin"}),
            ("schedules/{schedule}", {"active": True, "job": {"job_type": "custom"}}),
            ("webhooks/{hook}", {"workspace": "other"}),
            ("webhooks/{hook}", {"created_by": "admin", "scopes": None}),
        ):
            answer = ada.patch(f"{BATCH}/{path.format_map(ids)}", json=body)
            assert answer.status_code == 400, answer.text
        assert seen(ada, ids) == before


class TestServerSideRequestForgery:
    """API7: what a client names is dialled where it is public, and told at once where it is not.

    How names, redirects and changes of mind are seen through is in tests/unit/dialling.
    """

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "localhost",
            "169.254.169.254",
            "10.0.0.1",
            "2130706433",
            "0x7f.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[fd00:ec2::254]",
        ],
    )
    def test_nothing_leads_inwards(
        self, ada: httpx.Client, doors: TwoDoors, keys: Any, ids: dict[str, str], host: str
    ) -> None:
        url = f"http://{host}/a.csv"
        job = {"job_type": "media_processing", "webhook_url": url}
        imported = {"table_name": "staff", "source_url": url}
        asked: list[tuple[str, str, dict[str, Any], str | None]] = [
            ("POST", "jobs", job, "submit_job"),
            ("POST", "export", EXPORT | {"webhook_url": url}, None),
            ("POST", "schedules", {"cron": YEARLY, "job": job}, "create_schedule"),
            ("POST", "webhooks", HOOK | {"url": url}, "create_webhook"),
            ("PATCH", f"webhooks/{ids['hook']}", {"url": url}, None),
            ("POST", "import", imported, "import_data"),
            ("POST", "import", IMPORT | {"upload_id": ids["upload"], "webhook_url": url}, None),
            ("POST", "import/preview", imported, "preview_import"),
            ("POST", "jobs", {"job_type": "data_import", "parameters": imported}, "submit_job"),
        ]
        with connect(doors.flight.url, keys["ada"]) as client:
            for method, path, body, action in asked:
                answer = ada.request(method, f"{BATCH}/{path}", json=body)
                assert answer.status_code in (400, 403), f"{path}: {answer.text}"
                code = answer.json()["error"]["code"]
                assert code in ("address_refused", "invalid_request"), path
                if action is not None:
                    with pytest.raises(PixelflightError) as caught:
                        client._act(action, **body)
                    assert caught.value.code.name.lower() == code
