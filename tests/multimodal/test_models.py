"""Models that are called for computed columns and indexes, by Pixeltable's own code for providers.

The models are those of a server beside the tests, which speaks the providers' protocols.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.cli.app import run
from flight_server.client import Client, connect
from flight_server.errors import Forbidden, PixelflightError
from flight_server.testing.server import LocalServer, local_server
from tests.fix_http import TwoDoors, two_doors
from tests.fix_models import Models
from tests.fix_pixeltable import copy_of
from tests.fix_webhooks import eventually

KEY, OTHER = "sk-first-0123456789-abcd", "sk-second-0123456789-efgh"
KEYS = "/api/v1/providers/openai/key"
WORDS = pa.table({"id": [1, 2], "text": ["yes", "no"]})
V1 = "/api/v1"
LOCAL = {"claude", "llama"}


def says(model: str = "gpt-4o-mini", provider: str = "openai") -> str:
    asked = "[{'role': 'user', 'content': text}]"
    answer = f"{provider}.chat_completions({asked}, model := '{model}')"
    return f"{answer}.choices[0].message.content::string"


@pytest.fixture(scope="module")
def server(
    made_home: Path, models: Models, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    """A server whose models are the module's, without a key for them."""
    folder = tmp_path_factory.mktemp("models")
    settings = {
        "pixeltable": str(copy_of(made_home, folder)),
        "pixeltable_providers": "openai, anthropic, ollama",
        "provider_urls": f"openai={models.url}/v1, anthropic={models.url}, ollama={models.url}",
        # Of the other models so many that nobody waits.
        "provider_rates": "openai=60000, openai/slow=1",
        "job_workers": 0,
        "durability": "none",
    }
    with local_server(folder / "data", **settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def doors(server: LocalServer) -> Iterator[TwoDoors]:
    with two_doors(server) as opened:
        yield opened


@pytest.fixture
def web(doors: TwoDoors) -> Iterator[httpx.Client]:
    with doors.client() as opened:
        yield opened


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as opened:
        yield opened


@pytest.fixture
def words(client: Client, request: pytest.FixtureRequest) -> str:
    """A table of words, called after the test."""
    table = f"pixeltable:{request.node.name[:50]}"
    client.put(table, WORDS, mode="create", key=["id"])
    return table


@pytest.fixture
def without_key(client: Client, models: Models) -> Iterator[None]:
    """Before the test and after it there is no key."""
    models.keys = {KEY}
    yield
    for one in client.providers():
        if one["key"] is not None:
            client.drop_provider_key(one["provider"])


def said(client: Client, table: str) -> list[Any]:
    rows = client.scan(table, columns=["said"], order_by="id").to_pylist()
    return [row["said"] for row in rows]


def test_a_column_is_computed_by_a_model_once_there_is_a_key(
    client: Client, web: httpx.Client, words: str, without_key: None
) -> None:
    client.add_computed_column(words, "said", says(), on_error="ignore")
    errors = client.cell_errors(words, "said")
    assert [one["key"] for one in errors] == [{"id": 1}, {"id": 2}]
    assert errors[0]["errormsg"].startswith("There is no key for the provider 'openai'")
    assert "pixelflight providers set openai" in errors[0]["errormsg"]
    told = web.put(KEYS, json={"key": KEY})
    assert (told.status_code, told.json()["key"]["masked"]) == (200, "…abcd")
    done = client.recompute_column(words, "said", errors_only=True)
    assert (done["rows"], done["errors"]) == (2, 0)
    assert said(client, words) == ["YES", "NO"]
    assert client.cell_errors(words, "said") == []


def test_a_key_that_is_rotated_counts_from_the_next_call_on(
    client: Client, words: str, models: Models, without_key: None
) -> None:
    client.set_provider_key("openai", KEY)
    client.add_computed_column(words, "said", says())
    models.keys = {OTHER}
    client.set_provider_key("openai", OTHER)
    client.put(words, pa.table({"id": [3], "text": ["more"]}))
    assert models.keys_of("/v1/chat/completions")[-3:] == [KEY, KEY, OTHER]
    assert said(client, words) == ["YES", "NO", "MORE"]
    client.drop_provider_key("openai")
    with pytest.raises(PixelflightError, match="no key for the provider 'openai'") as refused:
        client.put(words, pa.table({"id": [4], "text": ["none"]}))
    assert "set_provider_key" in refused.value.message
    assert said(client, words) == ["YES", "NO", "MORE"]


def test_no_error_quotes_a_key_and_one_cell_spoils_no_other(
    client: Client, words: str, models: Models, without_key: None
) -> None:
    client.put(words, pa.table({"id": [3], "text": ["unspeakable"]}))
    client.set_provider_key("openai", OTHER)
    client.add_computed_column(words, "said", says(), on_error="ignore")
    errors = client.cell_errors(words, "said")
    assert [one["errortype"] for one in errors] == ["AuthenticationError"] * 3
    assert all("Incorrect API key" in one["errormsg"] for one in errors)
    assert OTHER not in str(errors)
    with pytest.raises(PixelflightError, match=r"'openai' did not answer .*401") as refused:
        client.add_computed_column(words, "again", says())
    assert OTHER not in refused.value.message
    client.set_provider_key("openai", KEY)
    client.recompute_column(words, "said", errors_only=True)
    assert said(client, words) == ["YES", "NO", None]
    [error] = client.cell_errors(words, "said")
    assert (error["key"], error["errortype"]) == ({"id": 3}, "BadRequestError")
    assert "That cannot be said" in error["errormsg"]
    # A row that is written is whole, or not there.
    with pytest.raises(PixelflightError, match=r"did not answer .*400"):
        client.put(words, pa.table({"id": [4], "text": ["unspeakable"]}))


def test_a_model_that_is_busy_is_asked_again(
    client: Client, words: str, models: Models, without_key: None
) -> None:
    client.set_provider_key("openai", KEY)
    models.busy = {"gpt-4o"}
    client.add_computed_column(words, "said", says("gpt-4o"))
    assert said(client, words) == ["YES", "NO"]
    assert [one[0] for one in models.asked].count("gpt-4o") == 3


def test_an_index_embeds_by_a_model_and_so_does_a_search(
    client: Client, words: str, models: Models, without_key: None
) -> None:
    client.set_provider_key("openai", KEY)
    arguments = {"model": "text-embedding-3-small", "model_kwargs": {"dimensions": 8}}
    embedder = {"function": "openai.embeddings", "arguments": arguments}
    client.put(words, pa.table({"id": [3, 4], "text": ["cabbage", "beef"]}))
    client.create_index(words, "text", embedder=embedder, metric="cosine")
    found = client.search(words, "text", "cab", limit=1).to_arrow()
    assert found["text"].to_pylist() == ["cabbage"]
    [used] = [one for one in client.model_usage() if one["function"] == "embeddings"]
    assert (used["calls"], used["errors"]) == (2, 0)
    assert used["input_tokens"] == sum(map(len, ("yes", "no", "cabbage", "beef", "cab")))
    asked = models.keys_of("/v1/embeddings")
    client.set_provider_key("openai", OTHER)
    with pytest.raises(PixelflightError, match=r"'openai' did not answer .*401") as refused:
        client.search(words, "text", "bee", limit=1).to_arrow()
    assert OTHER not in refused.value.message
    assert set(models.keys_of("/v1/embeddings")[len(asked) :]) == {OTHER}


def test_models_of_others(client: Client, words: str, models: Models, without_key: None) -> None:
    asked = "[{'role': 'user', 'content': text}]"
    claude = f"anthropic.messages({asked}, model := 'claude', max_tokens := 9).content[0].text"
    client.set_provider_key("anthropic", KEY)
    client.add_computed_column(words, "said", f"{claude}::string")
    assert said(client, words) == ["YES", "NO"]
    assert models.keys_of("/v1/messages") == [KEY, KEY]
    llama = f"ollama.chat({asked}, model := 'llama').message.content::string"
    client.add_computed_column(words, "local", llama)
    assert [row["local"] for row in client.scan(words).to_pylist()] == ["YES", "NO"]
    used = {one["provider"]: one for one in client.model_usage() if one["model"] in LOCAL}
    assert [used[name]["calls"] for name in ("anthropic", "ollama")] == [2, 2]
    assert [used[name]["input_tokens"] for name in ("anthropic", "ollama")] == [5, 5]
    assert [used[name]["output_tokens"] for name in ("anthropic", "ollama")] == [6, 8]


def test_the_command_line_sets_keys_and_shows_none(
    server: LocalServer,
    without_key: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def did(*arguments: str, stdin: str = "") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        where = ("--url", server.url, "--key", server.key)
        assert run(["providers", *arguments, *where]) == 0
        said = capsys.readouterr()
        assert KEY not in said.out + said.err
        return str(said.out + said.err)

    assert "…abcd" in did("set", "openai", stdin=f"{KEY}\n")
    listed = map(json.loads, did("list", "-O", "json").splitlines())
    assert [one["key"] for one in listed] == [None, None, "…abcd"]
    assert "forgotten" in did("remove", "openai")
    assert did("usage", "--until", "2000-01-01", "-O", "json") == ""


def test_calls_wait_for_their_turn_and_leave_the_line_with_the_request(
    doors: TwoDoors, client: Client, words: str, models: Models, without_key: None
) -> None:
    def asked() -> int:
        return [model for model, *_ in models.asked].count("slow")

    client.set_provider_key("openai", KEY)
    client.put(words, pa.table({"id": range(10, 40), "text": ["x"] * 30}))
    connection = HTTPConnection(doors.url.removeprefix("http://"))
    body = json.dumps({"name": "said", "expression": says("slow")})
    headers = {"authorization": f"Bearer {doors.key}", "content-type": "application/json"}
    connection.request("POST", f"{V1}/tables/{words}/computed-columns", body, headers)
    # The second would go a minute later.
    eventually(lambda: asked() == 1, "a call")
    connection.close()
    # This one waits for the table until the other is through with it.
    client.add_computed_column(words, "length", "string.len(text)")
    assert asked() == 1
    assert [one["name"] for one in client.computed_columns(words)] == ["length"]


def test_what_was_called_is_counted_on_both_doors(
    client: Client, web: httpx.Client, words: str, without_key: None
) -> None:
    def called(model: str) -> dict[str, Any]:
        rows = client.model_usage()
        assert web.get(f"{V1}/providers/usage").json()["usage"] == rows
        found = [one for one in rows if one["model"] == model]
        return found[0] if found else {}

    client.set_provider_key("openai", KEY)
    assert called("counted") == {}
    client.put(words, pa.table({"id": [3], "text": ["unspeakable"]}))
    client.add_computed_column(words, "said", says("counted"), on_error="ignore")
    told = called("counted")
    assert told.pop("day")
    assert told == {
        "workspace": "default",
        "provider": "openai",
        "function": "chat_completions",
        "model": "counted",
        "calls": 3,
        "errors": 1,
        "input_tokens": len("yes") + len("no"),
        "output_tokens": 4,
        "cost": 0.5,
    }
    assert web.get(f"{V1}/providers/usage?to=2000-01-01").json() == {"usage": []}
    labels = '{provider="openai",workspace="default"}'
    assert f"pixelflight_model_calls_total{labels}" in web.get("/metrics").text


def test_keys_are_nowhere_in_clear(
    server: LocalServer, client: Client, web: httpx.Client, words: str, without_key: None
) -> None:
    client.set_provider_key("openai", KEY)
    client.add_computed_column(words, "said", says())
    listed = web.get(f"{V1}/providers").json()["providers"][-1]
    assert listed["key"]["masked"] == "…abcd"
    assert (listed["key"]["set_by"], listed["from_environment"]) == ("admin", False)
    assert listed["requests_per_minute"] == {"": 60000, "slow": 1}
    [entry] = [one for one in client.audit(10) if one["action"] == "set_provider_key"][:1]
    assert entry["resource"] == "provider:openai"
    home = server.services.settings.pixeltable
    assert home is not None
    files = [one for folder in (server.data, home) for one in folder.rglob("*") if one.is_file()]
    assert (server.data / "providers.key") in files
    assert (server.data / "providers.key").stat().st_mode & 0o777 == 0o600
    assert [one for one in files if KEY.encode() in one.read_bytes()] == []


def test_who_may_set_keys_and_for_which_tables(
    server: LocalServer, doors: TwoDoors, client: Client, web: httpx.Client, models: Models,
    words: str, without_key: None,
) -> None:  # fmt: skip
    shared = says("shared")
    client.set_provider_key("openai", KEY)
    for key in (doors.key_of("writer"), doors.key_of("admin", name="narrow", scopes=["read"])):
        with doors.client(key) as nobody:
            asked = [
                nobody.get(f"{V1}/providers"),
                nobody.get(f"{V1}/providers/usage"),
                nobody.put(KEYS, json={"key": OTHER}),
                nobody.delete(KEYS),
            ]
        assert {answer.status_code for answer in asked} == {403}
        with connect(server.url, key) as somebody, pytest.raises(Forbidden):
            somebody.set_provider_key("openai", OTHER)
    namespace = {"name": "team", "namespace": "pixeltable:team"}
    assert web.post(f"{V1}/workspaces", json=namespace).status_code == 201
    models.keys = {OTHER}
    key = doors.key_of("admin", name="boss", workspace="team")
    with connect(server.url, key) as team:
        assert all(one["key"] is None for one in team.providers())
        table = "pixeltable:team.words"
        team.put(table, WORDS, mode="create", key=["id"])
        team.add_computed_column(table, "said", says("teams"), on_error="ignore")
        assert "no key" in team.cell_errors(table, "said")[0]["errormsg"]
        team.set_provider_key("openai", OTHER)
        team.recompute_column(table, "said", errors_only=True)
        assert said(team, table) == ["YES", "NO"]
        assert {one["workspace"] for one in team.model_usage()} == {"team"}
        models.keys = {KEY, OTHER}
        both = [(client, words), (team, table)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: one[0].add_computed_column(one[1], "both", shared), both))
        shown = [key for model, _, key, _ in models.asked if model == "shared"]
        assert Counter(shown) == {KEY: 2, OTHER: 2}
    assert "teams" not in str(client.model_usage())
    # What the server's own tables are computed with has not changed.
    assert web.get(f"{V1}/providers").json()["providers"][-1]["key"]["masked"] == "…abcd"


@pytest.mark.parametrize(("provider", "key", "told"), [
    ("mistralai", KEY, "The operator names them in the setting pixeltable_providers"),
    ("ollama", KEY, "takes no key"),
    ("openai", "with a blank", "The 'key' is none"),
    ("openai", "", "The 'key' is none"),
    ("openai", "sk-\r\nx-evil: 1", "The 'key' is none"),
])  # fmt: skip
def test_what_is_no_key_is_refused_and_not_quoted(
    client: Client, provider: str, key: str, told: str
) -> None:
    with pytest.raises(PixelflightError, match=told) as refused:
        client.set_provider_key(provider, key)
    assert not key or key not in refused.value.message
