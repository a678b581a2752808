"""What values of settings may be, and how texts of the environment become such values."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field


class Durability(StrEnum):
    """What an acknowledgement means."""

    FLUSH = "flush"
    NONE = "none"


def _host_and_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("it must be HOST:PORT, with a port of at most 65535")
    return address


def _separated(value: Any) -> Any:
    """A list as the environment gives it: its parts, between commas."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _origin(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if text != "*" and (scheme not in ("http", "https") or not rest or "/" in rest):
        raise ValueError(f"'{text}' is not SCHEME://HOST[:PORT], such as https://app.example.com")
    return text


def is_confidential(url: str) -> bool:
    """Whether nobody on the way can read or change what comes from there: HTTPS, or this machine.

    Whoever could change an issuer's keys on the way could be anybody.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname is not None:
        try:
            return ipaddress.ip_address(parts.hostname).is_loopback
        except ValueError:
            return parts.hostname == "localhost"
    return parts.scheme == "https" and bool(parts.hostname)


def _confidential(url: str) -> str:
    if not is_confidential(url):
        raise ValueError("it must begin with https://, or be http:// on this machine")
    return url


def _pairs(given: Any) -> Any:
    """A mapping that the environment writes as `a=x, b=y`."""
    if not isinstance(given, str):
        return given
    pairs = [pair.rpartition("=") for pair in given.split(",") if pair.strip()]
    if not all(separator for _, separator, _ in pairs):
        raise ValueError("it must be a table, or a text such as 'analysts=reader, ops=admin'")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("it must begin with http:// or https://")
    return text


Url = Annotated[str, AfterValidator(_url)]
Address = Annotated[str, AfterValidator(_host_and_port)]
ConfidentialUrl = Annotated[str, AfterValidator(_confidential)]
Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]
Amounts = Annotated[dict[str, Annotated[int, Field(ge=1)]], BeforeValidator(_pairs)]
Urls = Annotated[dict[str, Url], BeforeValidator(_pairs)]
Names = Annotated[tuple[str, ...], BeforeValidator(_separated)]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_separated)
]


def _network(text: str) -> str:
    ipaddress.ip_network(text, strict=False)
    return text


Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_separated)
]


def _destination(text: str) -> str:
    if not text.startswith("/") and not re.fullmatch(r"s3://[^/]+(/.*)?", text):
        raise ValueError(f"'{text}' is neither a whole path nor s3://bucket/prefix")
    return text


Destinations = Annotated[
    tuple[Annotated[str, AfterValidator(_destination)], ...], BeforeValidator(_separated)
]


def _rate(text: str) -> str:
    if text and not all(map(_RATE.fullmatch, re.split("[;,|]", text))):
        raise ValueError("it must be a rate such as 100/minute, several of them joined by ';'")
    return text


_RATE = re.compile(r"\s*[1-9]\d*\s*(/|per)\s*(\d+\s*)?(second|minute|hour|day|month)s?\s*", re.I)
# How often: '100/minute', '10/second; 1000/hour'; '' is as often as anybody likes.
Rate = Annotated[str, AfterValidator(_rate)]


class Compression(StrEnum):
    """How the lake's Parquet files are compressed."""

    LZ4 = "lz4"
    ZSTD = "zstd"
    SNAPPY = "snappy"
    UNCOMPRESSED = "uncompressed"
