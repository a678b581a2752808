"""Where pytest finds what all tests share: fixtures by topic, in `fix_*.py`."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.fix_adbc",
    "tests.fix_client",
    "tests.fix_coverage",
    "tests.fix_dialled",
    "tests.fix_exports",
    "tests.fix_flight_sql",
    "tests.fix_foreign",
    "tests.fix_http",
    "tests.fix_imports",
    "tests.fix_identity",
    "tests.fix_issuer",
    "tests.fix_lake",
    "tests.fix_messages",
    "tests.fix_metastore",
    "tests.fix_models",
    "tests.fix_permissions",
    "tests.fix_pixeltable",
    "tests.fix_derived",
    "tests.fix_routes",
    "tests.fix_server",
    "tests.fix_statuses",
    "tests.fix_tls",
    "tests.fix_audit",
    "tests.fix_views",
    "tests.fix_webhooks",
]

# The shipped suite asserts as tests do, and should say as much when it fails.
pytest.register_assert_rewrite("flight_server.testing")

# `PIXELFLIGHT_TEST_PROFILE=long` looks longer for what random operations may break.
# Give it time as well: `--timeout 3000 -o faulthandler_timeout=3000`.
settings.register_profile(
    "default",
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long", settings.get_profile("default"), max_examples=500, stateful_step_count=50
)
settings.load_profile(os.environ.get("PIXELFLIGHT_TEST_PROFILE", "default"))


def pytest_collection_finish() -> None:
    """What thousands of collected tests are made of stays, so no collection looks at it again."""
    gc.collect()
    gc.freeze()
