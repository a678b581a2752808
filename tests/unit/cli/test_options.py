"""Options that verbs share."""

from __future__ import annotations

from pathlib import Path

import pytest

from flight_server.cli.options import connected, names, number_or_tag, pairs
from flight_server.cli.putting import _delimiter
from flight_server.errors import InvalidRequest


def test_names_come_one_by_one_or_with_commas() -> None:
    assert names(["a,b", " c "]) == ("a", "b", "c")
    assert names([]) is None
    assert names([","]) is None


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    assert pairs(["a=1", "b=x=y", "c="], "--param") == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize("text", ["a", "=1"])
def test_what_is_no_pair_is_told(text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"--param '{text}' is not NAME=VALUE."):
        pairs([text], "--param")


def test_a_version_is_a_number_or_a_tag() -> None:
    assert [number_or_tag(text) for text in ("7", "v7", None)] == [7, "v7", None]


def test_a_delimiter_is_one_character() -> None:
    assert [_delimiter(text) for text in (None, ";", "tab", "\\t")] == [None, ";", "\t", "\t"]
    with pytest.raises(InvalidRequest, match="'::' is not one character"):
        _delimiter("::")


@pytest.mark.parametrize(
    ("url", "used"), [("grpc://127.0.0.1:1", True), ("grpc://db.example.org:1", False)]
)
def test_the_key_beside_is_for_this_machine_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    url: str,
    used: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIXELFLIGHT_KEY", raising=False)
    (tmp_path / "pixelflight-data").mkdir()
    (tmp_path / "pixelflight-data" / "admin.key").write_text("pf_secret\n")
    with connected(url) as client:
        assert client.url == url
    assert ("Using the key" in capsys.readouterr().err) is used
