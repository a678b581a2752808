"""Our names of tables, and Pixeltable's paths.

A directory is a namespace, nested ones are joined by `/` in both, and the root is `main`. A
directory at the root that is itself called `main` is the namespace `/main`.
"""

from __future__ import annotations

import re

from flight_server.errors import ErrorCode, InvalidRequest, NotFound
from flight_server.model import (
    DEFAULT_NAMESPACE,
    PIXELTABLE_CATALOG,
    NamespaceRef,
    TableRef,
    table_not_found,
)

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEW = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def path_of(namespace: str, name: str) -> str:
    """The path of a table, in lower case as Pixeltable keeps it. NotFound where none can be.

    Pixeltable reads more out of a path: versions after a colon, and other servers' addresses.
    """
    directory = directory_of(namespace)
    if not _IDENTIFIER.fullmatch(name):
        raise table_not_found(TableRef(PIXELTABLE_CATALOG, namespace, name))
    return (f"{directory}/{name}" if directory else name).lower()


def check_new(name: str, what: str = "table") -> None:
    """InvalidRequest (invalid_name) where nothing can be called so."""
    if not _NEW.fullmatch(name):
        raise InvalidRequest(
            f"Pixeltable calls no {what} '{name[:100]}': names are of letters from A to Z, digits "
            "and '_', and begin with a letter.",
            code=ErrorCode.INVALID_NAME,
        )


def directory_of(namespace: str) -> str:
    """The directory of a namespace, empty for the root. NotFound where none can be."""
    if namespace.lower() == DEFAULT_NAMESPACE:
        return ""
    directory = namespace[1:] if namespace.lower() == f"/{DEFAULT_NAMESPACE}" else namespace
    if not all(_IDENTIFIER.fullmatch(part) for part in directory.split("/")):
        raise namespace_not_found(namespace)
    return directory.lower()


def namespace_of(directory: str) -> str:
    """The namespace of a directory."""
    if not directory:
        return DEFAULT_NAMESPACE
    return f"/{directory}" if directory == DEFAULT_NAMESPACE else directory


def split(path: str) -> tuple[str, str]:
    """The namespace and the name of a table by its path."""
    directory, _, name = path.rpartition("/")
    return namespace_of(directory), name


def namespace_not_found(namespace: str) -> NotFound:
    """There is no such directory."""
    return NotFound(
        f"There is no namespace '{NamespaceRef(PIXELTABLE_CATALOG, namespace)}'.",
        code=ErrorCode.NAMESPACE_NOT_FOUND,
    )
