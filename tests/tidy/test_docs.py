"""The documents say what the code does."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from flight_server.settings import Settings
from tests.tidy.generate import DOCS, PARTS, filled, parts_of
from tests.tidy.sources import ROOT, short

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("flight_server/*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=short)
def test_generated_parts_are_current(path: Path) -> None:
    text = path.read_text("utf-8")
    assert filled(text) == text, "run `make docs`"


def test_every_part_that_can_be_generated_is_somewhere() -> None:
    assert {part for path in DOCUMENTS for part in parts_of(path)} == set(PARTS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=short)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_document_is_found_from_the_readme() -> None:
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / "README.md").read_text("utf-8"))
    assert {short(path) for path in DOCUMENTS} - {"README.md"} - set(linked) == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=short)
def test_examples_of_json_and_settings_are_valid(path: Path) -> None:
    for language, text in re.findall(
        r"^```(\w+)\n(.*?)^```$", path.read_text("utf-8"), re.M | re.S
    ):
        if language == "json":
            json.loads(text)
        elif language == "toml":
            assert set(tomllib.loads(text)) <= set(Settings.model_fields)
