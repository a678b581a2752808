"""The page at /demo: its files, what a browser is told of them, and what is said without them.

What it shows is looked at in a browser by js-client/test/demo.test.ts.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from control_api import demo
from tests.fix_http import TwoDoors
from tests.tidy.sources import ROOT

SOURCES = ROOT / "js-client" / "demo"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the one that the page is built into."""
    monkeypatch.setattr(demo, "BUILT", tmp_path)
    return tmp_path


def test_the_page_loads_its_own_files_alone(doors: TwoDoors, built: Path) -> None:
    for name in ("index.html", "demo.css"):
        (built / name).write_bytes((SOURCES / name).read_bytes())
    (built / "demo.js").write_text("run();")
    with doors.client("") as nobody:
        page = nobody.get("/demo")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'; script-src 'self';" in page.headers["content-security-policy"]
        loaded = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
        assert loaded == ["/demo/demo.css", "/demo/demo.js"]
        assert nobody.get("/demo/demo.js").text == "run();"
        for path in ("/demo", *loaded):
            answer = nobody.get(path)
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            known = {"if-none-match": answer.headers["etag"]}
            assert nobody.get(path, headers=known).status_code == 304
        assert nobody.get("/demo/other.js").status_code == 404


def test_where_it_is_not_built_the_answer_says_how_it_is(doors: TwoDoors, built: Path) -> None:
    with doors.client("") as nobody:
        answer = nobody.get("/demo")
    assert answer.status_code == 404
    message = answer.json()["error"]["message"]
    assert message == "The demo page is not built: 'make demo-page' builds it."
    assert re.search(r"^demo-page:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert list(built.iterdir()) == []


def test_the_package_brings_it_along() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = told["tool"]["setuptools"]["package-data"]["control_api"]
    for name, _ in demo._FILES.values():
        inside = demo.BUILT.relative_to(ROOT / "control_api") / name
        assert any(inside.match(pattern) for pattern in patterns)
