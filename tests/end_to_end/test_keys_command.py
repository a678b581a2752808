"""Keys on the command line that have scopes, owners and new secrets, beside a running server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from flight_server.testing.server import ServerProcess, running_server


def keys(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flight_server", "keys", *arguments, "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def me(server: ServerProcess, key: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{server.http}/api/v1/auth/me", headers=headers, timeout=30)


@pytest.mark.timeout(200)
def test_keys_beside_a_running_server(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", durability="none") as server:
        users = f"{server.http}/api/v1/auth/users"
        body = {"name": "ann", "password": "a long sentence", "roles": ["reader"]}
        headers = {"authorization": f"Bearer {server.key}"}
        assert httpx.post(users, json=body, headers=headers, timeout=30).status_code == 201

        hers = keys(server.data, "create", "laptop", "--user", "ann", "--scope", "read:s.*")
        assert hers.returncode == 0, hers.stderr
        told = me(server, hers.stdout.strip()).json()
        assert (told["id"], told["scopes"]) == ("user:ann", ["read:s.*"])

        key_id = hers.stdout.split("_")[1]
        renewed = keys(server.data, "rotate", key_id, "--overlap", "600")
        assert "The old one works until" in renewed.stderr
        # The running server remembers a checked key for a moment; the old one works meanwhile.
        while me(server, renewed.stdout.strip()).status_code == 401:
            assert me(server, hers.stdout.strip()).status_code == 200
        assert me(server, hers.stdout.strip()).status_code == 200

        listed = keys(server.data, "list", "-O", "json").stdout.splitlines()
        (row,) = (row for row in map(json.loads, listed) if row["id"] == key_id)
        assert (row["owner"], row["roles"], row["scopes"]) == ("ann", "", "read:s.*")
        assert renewed.stdout.split("_")[2].strip() not in "".join(listed)

        for arguments, message in (
            (("create", "x"), "or a --user whose key it is"),
            (("create", "x", "--user", "nobody"), "There is no user 'nobody'"),
            (("create", "x", "--user", "ann", "--role", "admin"), "leave 'roles' out"),
            (("create", "x", "--role", "admin", "--scope", "fly"), "begins with no action"),
            (("rotate", "nothing"), "no API key with the id 'nothing'"),
        ):
            failed = keys(server.data, *arguments)
            assert (failed.returncode != 0, message in failed.stderr) == (True, True), failed
