"""Where a setting's value comes from, and what is said about one that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flight_server.errors import InvalidRequest
from flight_server.setting_values import Durability
from flight_server.settings import OTHER_VARIABLES, PREFIX, Settings, load

SECRET = "wJalrXUtnFEMI-not-a-real-one"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a settings file and gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "pixelflight.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def refusal(**sources: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        load(**{"environment": {}, **sources})
    return caught.value.message


def test_nothing_said_means_the_defaults() -> None:
    settings, sources = load(environment={})
    assert settings == Settings()
    assert sources == {}


def test_the_environment_is_the_processes_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}THREADS", "3")
    assert load()[0].threads == 3


def test_later_sources_win(written: Callable[[str], Path]) -> None:
    path = written('threads = 1\nqueries_max = 2\ndata = "from-file"')
    settings, sources = load(
        path,
        {f"{PREFIX}QUERIES_MAX": "3", f"{PREFIX}DATA": "from-environment"},
        {"data": Path("from-command-line"), "flight": None},
    )
    assert (settings.threads, settings.queries_max) == (1, 3)
    assert settings.data == Path("from-command-line")
    assert sources == {
        "threads": str(path),
        "queries_max": "environment",
        "data": "command line",
    }


def test_the_environment_may_name_the_file(written: Callable[[str], Path]) -> None:
    path = written('durability = "none"')
    settings, sources = load(environment={f"{PREFIX}CONFIG": str(path)})
    assert settings.durability is Durability.NONE
    assert sources == {"durability": str(path)}


def test_a_file_that_is_named_outright_comes_before_the_environments(
    written: Callable[[str], Path],
) -> None:
    assert load(written("threads = 4"), {f"{PREFIX}CONFIG": "/nowhere.toml"})[0].threads == 4


@pytest.mark.parametrize(
    "name", [*sorted(OTHER_VARIABLES - {"CONFIG"}), "TEST_CRASH", "TEST_LOAD", "TEST_PROFILE"]
)
def test_variables_of_clients_and_tests_are_not_settings(name: str) -> None:
    assert load(environment={PREFIX + name: "anything"})[1] == {}


def test_an_unknown_key_in_the_file_is_refused_with_the_nearest(
    written: Callable[[str], Path],
) -> None:
    path = written("querys_max = 3")
    assert refusal(config=path) == (
        f"There is no setting 'querys_max' ({path}). Did you mean 'queries_max'?"
    )


def test_an_unknown_variable_is_refused_with_the_nearest() -> None:
    message = refusal(environment={f"{PREFIX}DURABLITY": "none"})
    assert message == "There is no setting 'durablity' (environment). Did you mean 'durability'?"


def test_an_unknown_key_that_is_near_nothing_is_refused() -> None:
    assert refusal(overrides={"zzz": 1}) == "There is no setting 'zzz' (command line)."


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("threads", "many", "valid integer"),
        ("threads", "0", "greater than or equal to 1"),
        ("durability", "maybe", "'flush' or 'none'"),
        ("flight", "8815", "HOST:PORT"),
        ("http", "localhost:", "HOST:PORT"),
        ("flight", "localhost:99999", "HOST:PORT"),
        ("log_level", "LOUD", "'DEBUG'"),
        ("s3_use_ssl", "perhaps", "boolean"),
    ],
)
def test_a_wrong_value_is_quoted_with_its_source(name: str, value: str, words: str) -> None:
    message = refusal(environment={PREFIX + name.upper(): value})
    assert message.startswith(f"The setting {name} = '{value}' (environment) is wrong: ")
    assert words in message


def test_a_wrong_value_in_a_file_names_the_file(written: Callable[[str], Path]) -> None:
    path = written('ticket_seconds = "soon"')
    assert f"ticket_seconds = 'soon' ({path}) is wrong" in refusal(config=path)


def test_all_wrong_values_are_told_at_once() -> None:
    message = refusal(environment={f"{PREFIX}THREADS": "x", f"{PREFIX}QUERIES_MAX": "y"})
    assert "threads = 'x'" in message
    assert "queries_max = 'y'" in message


def test_a_file_that_is_not_there() -> None:
    assert refusal(config=Path("nowhere.toml")) == (
        "The settings file 'nowhere.toml' does not exist."
    )


def test_a_file_that_is_no_toml(written: Callable[[str], Path]) -> None:
    assert "cannot be read: " in refusal(config=written("threads = = 1"))


def test_a_file_that_is_a_folder(tmp_path: Path) -> None:
    assert "cannot be read: " in refusal(config=tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:8815", "[::1]:8815", "0.0.0.0:1"])
def test_addresses(address: str) -> None:
    assert load(environment={f"{PREFIX}FLIGHT": address})[0].flight == address


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tls_certificate": "a.pem"}, "tls_certificate and tls_private_key go together"),
        ({"tls_private_key": "a.pem"}, "tls_certificate and tls_private_key go together"),
        ({"tls_client_ca": "a.pem"}, "tls_client_ca needs tls_certificate"),
        ({"ticket_seconds": 9000}, "removal_grace_seconds must be at least ticket_seconds"),
    ],
)
def test_settings_that_contradict_each_other(values: dict[str, Any], words: str) -> None:
    assert words in refusal(overrides=values)


def test_a_secret_is_never_shown() -> None:
    settings, _ = load(environment={f"{PREFIX}S3_SECRET_ACCESS_KEY": SECRET})
    assert settings.s3_secret_access_key is not None
    assert settings.s3_secret_access_key.get_secret_value() == SECRET
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown


def test_a_wrong_secret_is_not_quoted_back() -> None:
    message = refusal(overrides={"s3_secret_access_key": [SECRET]})
    assert message.startswith("The setting s3_secret_access_key (command line) is wrong: ")
    assert SECRET not in message


def test_a_contradiction_does_not_tell_secrets() -> None:
    message = refusal(overrides={"s3_secret_access_key": SECRET, "tls_certificate": "a.pem"})
    assert SECRET not in message


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().threads = 2  # type: ignore[misc]
