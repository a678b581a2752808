"""An issuer of tokens that the server trusts: its keys, and what its tokens say of their bearer.

OpenID Connect: the issuer's keys are at the address that its discovery document names, or at one
that the settings do. They are fetched when a token names a key that is not known, at most once in
`FETCH_SECONDS`, and kept: an issuer that is down keeps nobody out whose key is known.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from flight_server.auth.users import is_writable
from flight_server.errors import Unauthenticated, Unavailable
from flight_server.setting_values import is_confidential
from flight_server.settings import Settings

ALGORITHMS = {"RS256": "RSA", "ES256": "EC"}
# No issuer is asked for its keys more often than this, whatever tokens come.
FETCH_SECONDS = 10.0
# Keys are fetched anew after this long, since one may have been withdrawn.
REFRESH_SECONDS = 3600.0
TIMEOUT_SECONDS = 5.0
DOCUMENT_BYTES_MAX = 2**20
# Clocks differ.
LEEWAY_SECONDS = 30
RSA_BITS_MIN = 2048

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExternalUser:
    """What a token says of its bearer; moments are Unix times."""

    issuer: str
    subject: str
    name: str
    roles: frozenset[str]
    workspace: str | None
    issued_at: float
    expires_at: float


class Issuer:
    """The issuer of the settings. Every method may be called from any thread."""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.monotonic) -> None:
        assert settings.oidc_issuer is not None, "made where an issuer is set"
        self.url = settings.oidc_issuer
        self._settings = settings
        self._now = now
        self._keys: dict[str, jwt.PyJWK] = {}
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._failure = ""
        self._lock = threading.Lock()

    def verify(self, text: str) -> ExternalUser:
        """Who shows the token. Unauthenticated; Unavailable where its key cannot be fetched."""
        key = self._key(text)
        try:
            claims = jwt.decode(
                text,
                key,
                algorithms=[key.algorithm_name],
                audience=self._settings.oidc_audience,
                issuer=self.url,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "sub", "iat", "exp"]},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired: get a new one of its issuer.") from None
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(f"The token of '{self.url}' is refused: {error}.") from None
        return self._described(claims)

    def _described(self, claims: Mapping[str, Any]) -> ExternalUser:
        settings = self._settings
        name = _claim(claims, settings.oidc_username_claim)
        if not isinstance(name, str) or not name:
            raise Unauthenticated(
                f"The token has no claim '{settings.oidc_username_claim}' that names its user."
            )
        found = _claim(claims, settings.oidc_roles_claim) if settings.oidc_roles_claim else None
        if not (is_writable(name) and is_writable(claims["sub"])):
            raise Unauthenticated("The token's user has a name that is no text.")
        roles = settings.oidc_role_map
        told = frozenset(roles[value] for value in _texts(found) if value in roles)
        where = settings.oidc_workspace_claim
        workspace = _claim(claims, where) if where else None
        if where and not isinstance(workspace, str):
            raise Unauthenticated(f"The token has no claim '{where}' that names a workspace.")
        moments = (float(claims["iat"]), float(claims["exp"]) + LEEWAY_SECONDS)
        return ExternalUser(self.url, claims["sub"], name, told, workspace, *moments)

    def _key(self, text: str) -> jwt.PyJWK:
        """The key that the token says it was signed with."""
        try:
            header = jwt.get_unverified_header(text)
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(f"The token is damaged: {error}.") from None
        algorithm, name = header.get("alg"), header.get("kid", "")
        if algorithm not in ALGORITHMS:
            raise Unauthenticated(
                f"The token is signed by '{str(algorithm)[:20]}': "
                f"{' and '.join(ALGORITHMS)} are taken of '{self.url}'."
            )
        key = self._known(name)
        if key.algorithm_name != algorithm:
            raise Unauthenticated(f"The token's key is not one for '{algorithm}'.")
        return key

    def _known(self, name: str) -> jwt.PyJWK:
        """The issuer's key of this name, fetched where it is not known."""
        is_old = self._now() - self._fetched_at > REFRESH_SECONDS
        key = self._keys.get(name)
        if key is not None and not is_old:
            return key
        # Whoever has a key does not wait for somebody else's fetching.
        if self._lock.acquire(blocking=key is None):
            try:
                if self._now() - self._tried_at > FETCH_SECONDS:
                    self._fetch()
            finally:
                self._lock.release()
        key = self._keys.get(name)
        if key is not None:
            return key
        if self._failure:
            raise Unavailable(f"The keys of '{self.url}' cannot be fetched: {self._failure}.")
        raise Unauthenticated(f"The token names a key that '{self.url}' does not have.")

    def _fetch(self) -> None:
        """Replaces the keys by those that the issuer has now; keeps them where it has none."""
        self._tried_at = self._now()
        try:
            with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:
                where = self._settings.oidc_jwks_url or self._discovered(client)
                document = _document(client, where)
            keys = _usable_keys(document)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError, AttributeError) as error:
            self._failure = _reason(error)
            logger.warning("The keys of '%s' cannot be fetched: %s.", self.url, self._failure)
            return
        if keys:
            self._keys, self._fetched_at, self._failure = keys, self._now(), ""
        else:
            self._failure = "it has none that could be used"

    def _discovered(self, client: httpx.Client) -> str:
        """Where the issuer says that its keys are."""
        document = _document(client, f"{self.url.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self.url:
            raise ValueError(f"its discovery document is that of '{document.get('issuer')}'")
        where = document.get("jwks_uri")
        if not isinstance(where, str) or not is_confidential(where):
            raise ValueError(f"its discovery document names '{where}', which is no https address")
        return where


def _document(client: httpx.Client, where: str) -> dict[str, Any]:
    """The JSON object at an address, if it is of a sensible size."""
    with client.stream("GET", where, headers={"accept": "application/json"}) as answer:
        if answer.status_code != 200:
            raise ValueError(f"'{where}' answers with {answer.status_code}")
        body = b""
        for part in answer.iter_bytes():
            body += part
            if len(body) > DOCUMENT_BYTES_MAX:
                raise ValueError(f"'{where}' answers with more than {DOCUMENT_BYTES_MAX} bytes")
    document = httpx.Response(200, content=body).json()
    if not isinstance(document, dict):
        raise ValueError(f"'{where}' answers with no JSON object")
    return document


def _usable_keys(document: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys by name, those for signing by an algorithm that is taken."""
    found = {}
    for data in document.get("keys", ()):
        for algorithm, kind in ALGORITHMS.items():
            is_such = data.get("kty") == kind and data.get("alg", algorithm) == algorithm
            if not is_such or data.get("use", "sig") != "sig":
                continue
            try:
                key = jwt.PyJWK(data, algorithm)
            except jwt.PyJWTError:
                logger.warning("A key of the issuer is damaged: '%s'.", data.get("kid", ""))
                continue
            if getattr(key.key, "key_size", 0) >= (RSA_BITS_MIN if kind == "RSA" else 0):
                found[str(data.get("kid", ""))] = key
    return found


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """What stands under a dotted path; a claim whose own name holds dots is found as well."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any) -> list[str]:
    """A claim that lists something, as issuers write it: a list, or words in one text."""
    if isinstance(value, str):
        return value.split()
    found = value if isinstance(value, list | dict) else ()
    return [text for text in found if isinstance(text, str)]


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
