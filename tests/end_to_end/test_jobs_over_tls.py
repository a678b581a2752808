"""Workers reach a server that speaks TLS, and one that asks its clients for certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from flight_server.client import connect
from flight_server.testing.server import local_server
from tests.fix_server import QUIET
from tests.fix_tls import roots

JOB = {"operations": [{"operation": "insert", "table": "t", "data": [{"n": 1}]}]}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["tls", "mutual_tls"])
def test_a_job_is_done(
    kind: str, authority: trustme.CA, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings: dict[str, Any] = {**QUIET, "job_workers": 1, **request.getfixturevalue(kind)}
    with local_server(tmp_path / "data", **settings) as server:
        folder: Path | None = None
        mine = authority.issue_cert("ann")
        with connect(
            server.url.replace("127.0.0.1", "localhost"),
            server.key,
            tls_root_certificates=roots(authority),
            tls_client_certificate=b"".join(pem.bytes() for pem in mine.cert_chain_pems),
            tls_client_key=mine.private_key_pem.bytes(),
        ) as client:
            client.execute("create table t (n bigint)")
            job = client.submit_job("batch_operation", JOB)
            done = client.wait_for_job(job["job_id"], 60)
            assert done["status"] == "completed", done
            assert client.sql("select n from t").to_pylist() == [{"n": 1}]
            folder = Path(server.door.local_url().removeprefix("grpc+unix://")).parent
            assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
