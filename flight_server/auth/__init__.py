"""Who is asking, and may they? Credentials, the store of API keys, and the policy.

Knows no protocol and no engine: a door brings the text of a credential and gets a principal,
operations bring a principal and a resource and get a decision.
"""

from flight_server.auth.access import ANONYMOUS, Access
from flight_server.auth.authenticator import TOKEN_SECONDS, Authenticator, Identity
from flight_server.auth.bootstrap import ensure_admin_key, signing_secret
from flight_server.auth.credentials import (
    KEY_PREFIX,
    TOKEN_PREFIX,
    HandshakeToken,
    new_key,
    parse_key,
    sign_token,
    verify_token,
)
from flight_server.auth.policy import (
    BUILT_IN_ROLES,
    SERVER,
    Action,
    CatalogRef,
    Decision,
    Grant,
    Permit,
    Resource,
    ServerRef,
    may,
)
from flight_server.auth.signing import sign, verify
from flight_server.auth.store import KeyInfo, KeyStore

__all__ = [
    "ANONYMOUS",
    "BUILT_IN_ROLES",
    "KEY_PREFIX",
    "SERVER",
    "TOKEN_PREFIX",
    "TOKEN_SECONDS",
    "Access",
    "Action",
    "Authenticator",
    "CatalogRef",
    "Decision",
    "Grant",
    "HandshakeToken",
    "Identity",
    "KeyInfo",
    "KeyStore",
    "Permit",
    "Resource",
    "ServerRef",
    "ensure_admin_key",
    "may",
    "new_key",
    "parse_key",
    "sign",
    "sign_token",
    "signing_secret",
    "verify",
    "verify_token",
]
