"""What is sent is what the specification's library takes, whatever is in it."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from flight_server.errors import InvalidRequest
from flight_server.webhooks.records import RetryRule
from flight_server.webhooks.schedule import DELAYS, delay_after
from flight_server.webhooks.signatures import checked_secret, new_secret, signed, written

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.dictionaries(st.text(), JSON, max_size=4), keys=st.integers(1, 2))
def test_every_secret_verifies_and_the_older_field_does(data: dict[str, object], keys: int) -> None:
    secrets = [new_secret() for _ in range(keys)]
    body = written("wh_1", "data.inserted", "2031-05-01T12:00:00Z", data, secrets)
    headers = signed("msg_1", body, secrets, dt.datetime.now(dt.UTC))
    for secret in secrets:
        assert Webhook(secret).verify(body, headers)["data"] == json.loads(json.dumps(data))
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)
    members = json.loads(body)
    signature = members.pop("signature")
    before = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    made = hmac.new(secrets[0].encode(), before.encode(), hashlib.sha256).hexdigest()
    assert signature == f"sha256={made}"


def test_without_a_secret_nothing_is_signed() -> None:
    body = written("job", "job.completed", "2031-05-01T12:00:00Z", {}, [])
    assert "signature" not in json.loads(body)
    assert set(signed("msg_1", body, [], dt.datetime.now(dt.UTC))) == {
        "webhook-id",
        "webhook-timestamp",
    }


def test_a_text_of_ones_own_is_the_key_itself() -> None:
    text = checked_secret("nine bytes")
    headers = signed("msg_1", "{}", [text], dt.datetime.now(dt.UTC))
    Webhook(base64.b64encode(text.encode()).decode()).verify("{}", headers)


@pytest.mark.parametrize("wrong", ["short", "x" * 200, "whsec_AAAA", "whsec_not base64 at all!"])
def test_secrets_that_are_none_are_refused_unquoted(wrong: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        checked_secret(wrong)
    assert wrong not in caught.value.message


def test_the_schedule_is_the_specifications() -> None:
    delays = [delay_after(attempts, None) for attempts in range(1, len(DELAYS) + 2)]
    assert delays.pop() is None
    for delay, least in zip(delays, DELAYS, strict=True):
        assert delay is not None
        assert least <= delay <= 1.1 * least
    assert 3 * 24 * 3600 < sum(DELAYS) < 4 * 24 * 3600


def test_a_rule_of_ones_own_comes_first() -> None:
    rule = RetryRule(2, 60)
    first, second, third = (delay_after(attempts, rule) for attempts in (1, 2, 3))
    assert first is not None
    assert second is not None
    assert 60 <= first <= 66
    assert 60 <= second <= 66
    assert third is None


def test_what_the_receiver_asks_for_is_granted_within_bounds() -> None:
    assert delay_after(1, None, 600) == 600
    assert delay_after(1, None, 1e9) == 24 * 3600
    assert delay_after(1, RetryRule(0, 1), 600) is None
