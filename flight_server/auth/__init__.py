"""Who is asking, and may they? Credentials, users, API keys, tokens, and the policy.

Knows no protocol and no engine: a door brings the text of a credential and gets a principal,
operations bring a principal and a resource and get a decision.
"""

from flight_server.auth.access import ANONYMOUS, Access, fixed
from flight_server.auth.authenticator import (
    TOKEN_SECONDS,
    Authenticator,
    Credential,
    Identity,
)
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
from flight_server.auth.job_tokens import JobToken, sign_job_token, verify_job_token
from flight_server.auth.passwords import Passwords
from flight_server.auth.permission_rows import (
    Role,
    StoredGrant,
    Workspace,
    grant_not_found,
    workspace_not_found,
)
from flight_server.auth.permissions import PermissionStore
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
    WorkspaceRef,
    folded,
    may,
)
from flight_server.auth.provider_keys import ProviderKey, ProviderKeys
from flight_server.auth.scopes import is_everything, parse_scopes, within
from flight_server.auth.signing import sign, verify
from flight_server.auth.store import KEY, KeyInfo, KeyStore, key_not_found
from flight_server.auth.tokens import Issued, TokenStore
from flight_server.auth.users import USER, User, UserStore, user_not_found

__all__ = [
    "ANONYMOUS",
    "BUILT_IN_ROLES",
    "KEY",
    "KEY_PREFIX",
    "SERVER",
    "TOKEN_PREFIX",
    "TOKEN_SECONDS",
    "USER",
    "Access",
    "Action",
    "Authenticator",
    "CatalogRef",
    "Credential",
    "Decision",
    "Grant",
    "HandshakeToken",
    "Identity",
    "Issued",
    "JobToken",
    "KeyInfo",
    "KeyStore",
    "Passwords",
    "PermissionStore",
    "Permit",
    "ProviderKey",
    "ProviderKeys",
    "Resource",
    "Role",
    "ServerRef",
    "StoredGrant",
    "TokenStore",
    "User",
    "UserStore",
    "Workspace",
    "WorkspaceRef",
    "ensure_admin_key",
    "fixed",
    "folded",
    "grant_not_found",
    "is_everything",
    "key_not_found",
    "may",
    "new_key",
    "parse_key",
    "parse_scopes",
    "sign",
    "sign_job_token",
    "sign_token",
    "signing_secret",
    "user_not_found",
    "verify",
    "verify_job_token",
    "verify_token",
    "within",
    "workspace_not_found",
]
