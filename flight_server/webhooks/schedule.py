"""When what failed is tried again."""

from __future__ import annotations

import random

from flight_server.webhooks.records import RetryRule

# The schedule that the specification of Standard Webhooks proposes, in seconds.
DELAYS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
# Many that failed together should not come back together.
JITTER = 0.1
RETRY_AFTER_SECONDS_MAX = 24 * 3600.0


def delay_after(
    attempts: int, rule: RetryRule | None, retry_after: float | None = None
) -> float | None:
    """Seconds until the next attempt after so many; None where there is none.

    `retry_after` is what the receiver asks to be spared for.
    """
    if rule is not None:
        delay = rule.retry_delay_seconds if attempts <= rule.max_retries else None
    else:
        delay = DELAYS[attempts - 1] if attempts <= len(DELAYS) else None
    if delay is None:
        return None
    delay *= 1 + random.uniform(0, JITTER)  # noqa: S311 - nothing hangs on it
    return max(delay, min(retry_after or 0.0, RETRY_AFTER_SECONDS_MAX))
