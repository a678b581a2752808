"""Grants over HTTP: what they open, what cannot be granted, and who gives away what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.fix_http import TwoDoors
from tests.fix_permissions import V1, made, new_role, new_table, new_workspace, refused

GRANTS = f"{V1}/auth/grants"
MINE = f"{V1}/auth/permissions"
SignIn = Callable[..., httpx.Client]


def ids(client: httpx.Client, table: str) -> list[int]:
    answer = client.get(f"{V1}/tables/{table}/rows", params={"order_by": "id"})
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["rows"]]


def test_a_grant_is_made_counts_at_once_is_listed_and_taken_back(
    api: httpx.Client, sign_in: SignIn, table: str
) -> None:
    role = new_role(api)
    client = sign_in(role)
    path = f"{V1}/tables/{table}/rows"
    assert refused(client.get(path))[:2] == (404, "table_not_found")
    body = {"role": role, "actions": ["read"], "table": table, "columns": ["ID", "region"],
            "rows": "region = 'north'"}  # fmt: skip
    told = made(api.post(GRANTS, json=body))
    assert (told["role"], told["actions"], told["columns"]) == (role, ["read"], ["ID", "region"])
    assert (told["table"], told["rows"]) == (table, "region = 'north'")
    assert client.get(path).json()["rows"] == [
        {"id": 1, "region": "north"}, {"id": 2, "region": "north"}
    ]  # fmt: skip
    assert told in client.get(GRANTS).json()["grants"]
    assert client.delete(f"{GRANTS}/{told['id']}").status_code == 403
    assert api.delete(f"{GRANTS}/{told['id']}").status_code == 204
    assert refused(client.get(path))[:2] == (404, "table_not_found")
    assert refused(api.delete(f"{GRANTS}/{told['id']}"))[:2] == (404, "not_found")


def test_rows_may_depend_on_who_asks(api: httpx.Client, sign_in: SignIn, table: str) -> None:
    role = new_role(api, {"actions": ["read"], "table": table, "rows": "owner = current_user"})
    chief = new_role(api, {"actions": ["read"], "table": table,
                           "rows": "pay > 30 AND has_role('nobody') OR owner = 'cyd'"})  # fmt: skip
    assert ids(sign_in(role, name="ann"), table) == [1, 3]
    assert ids(sign_in(role, name="bob"), table) == [2]
    assert ids(sign_in(role, name="x' OR 'x' = 'x"), table) == []
    assert ids(sign_in(role, chief, name="bob"), table) == [2, 4]


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"actions": []}, 422, "actions"),
        ({"actions": ["reed"]}, 422, "read"),
        ({"columns": []}, 400, "must not be empty"),
        ({"rows": " "}, 400, "must not be empty"),
        ({"rows": "region ="}, 400, "does not parse"),
        ({"rows": "true; DROP TABLE x"}, 400, "row filter"),
        ({"rows": "regio = 'north'"}, 400, "There is no column 'regio'. Did you mean 'region'?"),
        ({"rows": "id IN (SELECT 1)"}, 403, "A subquery"),
        ({"rows": "getenv('HOME') = ''"}, 403, "refused"),
        ({"rows": "sum(pay) > 3"}, 400, "kind"),
        ({"rows": "has_role(owner)"}, 400, "has_role('auditor')"),
        ({"columns": ["regio"]}, 400, "no column 'regio'. Did you mean 'region'?"),
        ({"actions": ["alter"], "rows": "pay > 1"}, 400, "'alter' cannot be limited to rows"),
        ({"actions": ["delete"], "columns": ["id"]}, 400, "'delete' cannot be limited to columns"),
        ({"role": "absent"}, 404, "There is no role 'absent'."),
        ({"role": "reader"}, 400, "built in"),
        ({"catalog": "lake"}, 400, "not both"),
        ({"table": None, "catalog": "lak"}, 404, "There is no catalog 'lak'. Did you mean 'lake'?"),
        ({"table": "_pixelflight.tables"}, 404, "There is no table"),
        ({"table": ""}, 400, "table"),
        ({"workspace": "nowhere"}, 404, "There is no workspace 'nowhere'."),
        ({"tabel": "x"}, 422, "tabel"),
    ],
)
def test_what_cannot_be_granted(
    api: httpx.Client, table: str, change: dict[str, Any], status: int, message: str
) -> None:
    body = {"role": new_role(api), "actions": ["read"], "table": table} | change
    found = refused(api.post(GRANTS, json=body))
    assert found[0] in (status, 400)
    assert message in found[2]


def test_a_filter_whose_column_goes_opens_nothing_and_tells_nothing(
    doors: TwoDoors, api: httpx.Client, sign_in: SignIn, table: str
) -> None:
    role = new_role(api, {"actions": ["read"], "table": table, "columns": ["id"],
                          "rows": "region = 'north'"})  # fmt: skip
    client = sign_in(role)
    assert ids(client, table) == [1, 2]
    made_by = api.post(f"{V1}/query", json={"sql": f"ALTER TABLE {table} DROP COLUMN region"})
    assert made_by.status_code == 200, made_by.text
    asked = [
        client.get(f"{V1}/tables/{table}/rows"),
        client.post(f"{V1}/query", json={"sql": f"SELECT id FROM {table}"}),
    ]
    for answer in asked:
        assert answer.status_code in (400, 403, 404)
        assert "region" not in answer.text
        assert "Binder" not in answer.text


class TestHoldersOfGrant:
    """Who may `grant` and is no administrator."""

    def holder(self, api: httpx.Client, sign_in: SignIn, *grants: dict[str, Any]) -> httpx.Client:
        return sign_in(new_role(api, *grants), name="ann")

    def test_hand_out_what_they_have(self, api: httpx.Client, sign_in: SignIn, table: str) -> None:
        other = new_role(api)
        part = {"columns": ["id", "pay"], "rows": "region = 'north'"}
        client = self.holder(
            api, sign_in, {"actions": ["grant"], "table": table},
            {"actions": ["read"], "table": table, **part},
        )  # fmt: skip
        less = {"role": other, "actions": ["read"], "table": table, **part, "columns": ["pay"]}
        told = made(client.post(GRANTS, json=less))
        assert told in client.get(GRANTS).json()["grants"]
        assert client.delete(f"{GRANTS}/{told['id']}").status_code == 204

    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"columns": ["id", "pay", "owner"], "rows": "region = 'north'"},
            {"columns": ["id"]},
            {"columns": ["id"], "rows": "region = 'south'"},
            {"columns": ["id"], "rows": "region = 'north' OR true"},
            {"columns": ["id"], "rows": "region = 'north'", "actions": ["read", "update"]},
            {"columns": ["id"], "rows": "owner = current_user"},
            {"actions": ["alter"]},
            {"actions": ["admin"]},
        ],
    )
    def test_hand_out_no_more(
        self, api: httpx.Client, sign_in: SignIn, table: str, more: dict[str, Any]
    ) -> None:
        client = self.holder(
            api, sign_in, {"actions": ["grant"], "table": table},
            {"actions": ["read"], "table": table, "columns": ["id", "pay"],
             "rows": "region = 'north'"},
        )  # fmt: skip
        body = {"role": new_role(api), "actions": ["read"], "table": table} | more
        assert refused(client.post(GRANTS, json=body))[:2] == (403, "forbidden")

    def test_hand_out_nothing_that_means_more_for_somebody_else(
        self, api: httpx.Client, sign_in: SignIn, table: str
    ) -> None:
        mine = {"actions": ["read"], "table": table, "rows": "owner = current_user"}
        client = self.holder(api, sign_in, {"actions": ["grant"], "table": table}, mine)
        assert ids(client, table) == [1, 3]
        role = new_role(api)
        assert refused(client.post(GRANTS, json={"role": role, **mine}))[:2] == (403, "forbidden")
        # Its own rows are its own to show.
        literal = mine | {"rows": "owner = 'ann'"}
        made(client.post(GRANTS, json={"role": role, **literal}))
        assert ids(sign_in(role, name="bob"), table) == [1, 3]

    def test_learn_nothing_of_hidden_columns_by_a_filter(
        self, api: httpx.Client, sign_in: SignIn, table: str
    ) -> None:
        client = self.holder(
            api, sign_in, {"actions": ["grant"], "table": table},
            {"actions": ["read"], "table": table, "columns": ["id"]},
        )  # fmt: skip
        body = {"role": new_role(api), "actions": ["read"], "table": table, "columns": ["id"]}
        made(client.post(GRANTS, json=body | {"rows": "id > 2"}))
        hidden, missing = (
            refused(client.post(GRANTS, json=body | {"rows": f"{name} > 2"}))
            for name in ("pay", "absent")
        )
        assert hidden == missing
        assert hidden[0] == 403

    def test_grant_on_what_they_see_only(
        self, doors: TwoDoors, api: httpx.Client, sign_in: SignIn, table: str
    ) -> None:
        workspace = new_workspace(api)
        theirs = doors.key_of("admin", workspace=workspace)
        foreign = new_table(doors, f"{workspace}.hidden", key=theirs)
        client = self.holder(api, sign_in, {"actions": ["grant", "read"]})
        body = {"role": new_role(api), "actions": ["read"]}
        hidden, missing = (
            refused(client.post(GRANTS, json=body | {"table": name}))
            for name in (foreign, "absent.hidden")
        )
        assert hidden[:2] == (404, "table_not_found")
        assert hidden[2].replace(workspace, "absent") == missing[2]
        hidden = refused(client.post(GRANTS, json=body | {"namespace": workspace}))
        assert hidden == (404, "namespace_not_found", f"There is no namespace '{workspace}'.")

    def test_take_back_what_they_could_have_made(
        self, api: httpx.Client, sign_in: SignIn, table: str
    ) -> None:
        client = self.holder(api, sign_in, {"actions": ["grant", "read"], "table": table})
        body = {"role": new_role(api), "actions": ["update"], "table": table}
        above = made(api.post(GRANTS, json=body))
        hidden = refused(client.delete(f"{GRANTS}/{above['id']}"))
        missing = refused(client.delete(f"{GRANTS}/absent"))
        assert hidden[2].replace(above["id"], "absent") == missing[2]
        assert hidden[:2] == missing[:2] == (404, "not_found")
        assert above not in client.get(GRANTS).json()["grants"]


def test_what_one_may_is_told(api: httpx.Client, sign_in: SignIn, table: str) -> None:
    role = new_role(api, {"actions": ["read"], "table": table, "columns": ["id", "owner"],
                          "rows": "owner = current_user"})  # fmt: skip
    client = sign_in(role, name="ann")
    found = client.get(MINE, params={"table": table}).json()["permissions"]
    assert found["read"]["allowed"]
    assert found["read"]["columns"] == ["id", "owner"]
    assert "'ann'" in found["read"]["rows"]
    assert not found["update"]["allowed"]
    assert not client.get(MINE).json()["permissions"]["read"]["allowed"]
    assert client.get(MINE, params={"namespace": "main"}).status_code == 200
    both = client.get(MINE, params={"namespace": "main", "table": table})
    assert refused(both)[0] == 400
    gone = refused(client.get(MINE, params={"table": "absent"}))
    assert gone[:2] == (404, "table_not_found")
    gone = refused(client.get(MINE, params={"namespace": "absent"}))
    assert gone[:2] == (404, "namespace_not_found")


def test_nobody_grants_without_a_credential(doors: TwoDoors) -> None:
    with doors.client("") as nobody:
        asked = [nobody.get(GRANTS), nobody.get(MINE), nobody.delete(f"{GRANTS}/x"),
                 nobody.post(GRANTS, json={"role": "x", "actions": ["read"]})]  # fmt: skip
    assert {answer.status_code for answer in asked} == {401}
