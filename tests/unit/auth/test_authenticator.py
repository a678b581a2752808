"""Any text may stand in the header; whoever is let in, is so in next to no time."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flight_server.auth import (
    Authenticator,
    Identity,
    KeyStore,
    Passwords,
    TokenStore,
    UserStore,
)
from flight_server.auth.throttle import Throttle
from flight_server.errors import Unauthenticated
from flight_server.metastore import Metastore

SECRET = bytes(range(32))
PASSWORD = "correct horse battery"
SECONDS_MAX = 0.0003

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture(scope="module")
def authenticator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authenticator]:
    folder: Path = tmp_path_factory.mktemp("authenticator")
    with Metastore.open(folder / "metastore.sqlite") as metastore:
        users = UserStore(metastore)
        # Time goes so fast for this throttle that nobody is ever held up by it.
        passwords = Passwords(users, Throttle(lambda: time.monotonic() * 1e6))
        keys, tokens = KeyStore(metastore, users=users), TokenStore(metastore, SECRET, 900, 900)
        made = Authenticator(keys, users, passwords, tokens, SECRET)
        kept = passwords.hash("ann", PASSWORD)
        users.create("ann", ["reader"], created_by="test", password_hash=kept)
        yield made


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


plain = st.text(max_size=80)
no_surrogates = st.text(st.characters(codec="utf-8"), max_size=60)
headers = st.one_of(
    plain,
    st.builds("{} {}".format, st.sampled_from(["Bearer", "bearer", "BASIC", "Basic", ""]), plain),
    st.builds("Bearer {}{}".format, st.sampled_from(["pf_", "pft_", "pfr_"]), plain),
    st.builds("Bearer {}.{}.{}".format, plain, plain, plain),
    st.builds(lambda user, password: basic(f"{user}:{password}"), no_surrogates, no_surrogates),
    st.builds(lambda password: basic(f"ann:{password}"), no_surrogates),
)


@given(headers)
@example("")
@example("Bearer")
@example("Bearer ")
@example("Bearer ..")
@example("Bearer eyJhbGciOiJub25lIn0.e30.")
@example("Bearer eyJhbGciOiJIUzI1NiJ9.W10.x")
@example("Basic Og==")
@example("Basic :")
def test_no_text_lets_anybody_in_or_breaks_anything(
    authenticator: Authenticator, header: str
) -> None:
    with pytest.raises(Unauthenticated):
        authenticator.identify(header)


def test_every_credential_takes_less_than_a_third_of_a_millisecond(
    authenticator: Authenticator,
) -> None:
    keys = authenticator._keys
    key, _ = keys.create("etl", ["reader"], created_by="test", scopes=["read"])
    owned, _ = keys.create("laptop", owner="ann", created_by="test")
    issued = authenticator.login("ann", PASSWORD, None)
    session = authenticator.session_token(authenticator.identify(f"Bearer {key}"))
    shown = {
        "key": f"Bearer {key}",
        "key of a user": f"Bearer {owned}",
        "access token": f"Bearer {issued.access_token}",
        "session": f"Bearer {session}",
        "password": basic(f"ann:{PASSWORD}"),
    }
    slow = {}
    for what, header in shown.items():
        found = authenticator.identify(header)
        assert isinstance(found, Identity)
        seconds = min(seconds_of_50(authenticator, header) for _ in range(20))
        if seconds > 50 * SECONDS_MAX:
            slow[what] = seconds
    assert slow == {}


def seconds_of_50(authenticator: Authenticator, header: str) -> float:
    started = time.perf_counter()
    for _ in range(50):
        authenticator.identify(header)
    return time.perf_counter() - started


def test_a_session_of_a_session_lasts_no_longer(authenticator: Authenticator) -> None:
    key, _ = authenticator._keys.create("etl", ["reader"], created_by="test")
    first = authenticator.identify(f"Bearer {key}")
    token = authenticator.session_token(first)
    again = authenticator.identify(f"Bearer {token}")
    renewed = authenticator.identify(f"Bearer {authenticator.session_token(again)}")
    assert again.expires_at is not None
    assert renewed.expires_at == again.expires_at
    assert renewed.token is not None
    assert again.token is not None
    assert renewed.token.session != again.token.session
