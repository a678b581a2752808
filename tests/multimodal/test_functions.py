"""The functions that expressions may call: listed with their signatures, and those that may not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from flight_server.engines.pixeltable.engine import PixeltableEngine
from tests.tidy.sources import ROOT


@pytest.fixture(scope="module")
def listed(pixeltable: PixeltableEngine) -> dict[str, Any]:
    return {one["name"]: one for one in pixeltable.functions()}


def test_each_has_signatures_in_both_type_systems(listed: dict[str, Any]) -> None:
    resize = listed["image.resize"]
    assert (resize["kind"], resize["is_method"], resize["withheld"]) == ("udf", True, None)
    [signature] = resize["signatures"]
    assert [one["name"] for one in signature["parameters"]] == ["self", "size"]
    assert signature["parameters"][1]["type"] == "Json[(Int, Int)]"
    assert signature["parameters"][1]["arrow"] == "json"
    assert signature["returns"] == {"type": "Image", "arrow": "string", "nullable": False}
    assert listed["image.width"]["is_property"]
    assert not listed["uuid.uuid4"]["is_deterministic"]
    assert len(listed["sum"]["signatures"]) == 2
    assert {one["kind"] for one in listed.values()} == {"udf", "aggregate", "expression"}
    assert all("." in name or one["kind"] == "aggregate" for name, one in listed.items())


def test_what_reaches_out_may_not_be_called(listed: dict[str, Any]) -> None:
    assert "needs 'openai'" in listed["openai.chat_completions"]["withheld"]
    assert listed["openai.chat_completions"]["provider"] == "openai"
    harmful = ("net.presigned_url", "string.format", "string.replace_re", "video.ffmpeg_filter")
    assert all("can admit it" in listed[name]["withheld"] for name in harmful)
    # Of everything that is somebody's model.
    assert all(one["withheld"] for one in listed.values() if one["provider"])
    private = [name for name in listed if any(part.startswith("_") for part in name.split("."))]
    assert private == []


WRONG = {
    "nowhere.at_all": "pixeltable_functions names 'nowhere.at_all'",
    "os.system": "no such function",
    "opnai": "Did you mean 'openai'",
    "string": "none of Pixeltable's providers",
}
TRIED = """
import json
from flight_server.engines.pixeltable.worker.functions import Functions
from flight_server.errors import InvalidRequest, Unavailable

said = {}
for name in %s:
    try:
        Functions(**{"functions" if "." in name else "providers": [name]})
    except Unavailable as error:
        said[f"setting {name}"] = error.message
admitted = Functions(["pixeltable.functions.string.match", "tests.multimodal.own"], ["openai"])
for name in ("string.match", "tests.multimodal.own.doubled", "openai.embeddings"):
    said[name] = admitted.named(name).name
for name in ("uper", "STRING.UPER", "os.system", "__import__"):
    try:
        admitted.named(name)
    except InvalidRequest as error:
        said[name] = error.message
print(json.dumps(said))
"""


def test_settings_admit_what_they_name_and_are_told_of_what_is_none() -> None:
    # In another process: none of the tests' imports Pixeltable.
    done = subprocess.run(
        [sys.executable, "-c", TRIED % list(WRONG)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    for name, text in WRONG.items():
        assert text in said[f"setting {name}"]
    for name in ("string.match", "tests.multimodal.own.doubled", "openai.embeddings"):
        assert said[name] == name
    assert "Did you mean 'string.upper'" in said["STRING.UPER"]
    assert said["os.system"].startswith("There is no function 'os.system'")
    assert said["__import__"].startswith("There is no function '__import__'")
