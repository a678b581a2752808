"""Which form rows have on the wire: asked for by Accept, told by Content-Type."""

from __future__ import annotations

from enum import Enum

from flight_server.errors import ErrorCode, InvalidRequest


class Form(Enum):
    """A form of rows; the value is its media type. The order is ours where clients have none."""

    JSON = "application/json"
    LINES = "application/x-ndjson"
    CSV = "text/csv"
    ARROW = "application/vnd.apache.arrow.stream"


_OTHER_NAMES = {
    "application/ndjson": Form.LINES,
    "application/jsonl": Form.LINES,
    "application/json-lines": Form.LINES,
    "application/jsonlines": Form.LINES,
    "application/csv": Form.CSV,
}
_ALL = ", ".join(form.value for form in Form)


def form_sent(content_type: str) -> Form:
    """The form of a body; JSON where nothing is said. InvalidRequest (unsupported_media_type)."""
    name = content_type.partition(";")[0].strip().lower()
    if not name:
        return Form.JSON
    found = _named(name)
    if found is None:
        raise InvalidRequest(
            f"Bodies of the type '{name[:80]}' are not read here. Send one of {_ALL}.",
            code=ErrorCode.UNSUPPORTED_MEDIA_TYPE,
        )
    return found


def form_wanted(accept: str) -> Form:
    """The form that the client likes best. InvalidRequest (not_acceptable)."""
    if not accept.strip():
        return Form.JSON
    ranges = _ranges(accept)
    liked = [(_quality(form, ranges), form) for form in Form]
    best = max(quality for quality, _ in liked)
    if best <= 0:
        raise InvalidRequest(
            f"Accept is '{accept[:80]}', and rows come as one of {_ALL}.",
            code=ErrorCode.NOT_ACCEPTABLE,
        )
    return next(form for quality, form in liked if quality == best)


def takes_json(accept: str) -> bool:
    """Whether the client takes JSON at all, be it after other forms."""
    return not accept.strip() or _quality(Form.JSON, _ranges(accept)) > 0


def reads_errors_inside(accept: str) -> bool:
    """Whether the client looks for errors in Arrow streams, and needs no cut to notice one."""
    return any(
        _named(name) is Form.ARROW and "errors=inside" in parameters
        for name, *parameters in map(_parts, accept.split(","))
    )


def _ranges(accept: str) -> list[tuple[str, float]]:
    return [_range(part) for part in accept.split(",") if part.strip()]


def _named(name: str) -> Form | None:
    for form in Form:
        if form.value == name:
            return form
    return _OTHER_NAMES.get(name)


def _range(text: str) -> tuple[str, float]:
    """A media range and its quality; one that cannot be read is not liked."""
    name, *parameters = _parts(text)
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = min(1.0, max(0.0, float(value)))
            except ValueError:
                quality = 0.0
    return name, quality


def _parts(text: str) -> list[str]:
    return [part.strip().lower() for part in text.split(";")]


def _quality(form: Form, ranges: list[tuple[str, float]]) -> float:
    """How well the client likes a form: what the most exact range says that fits."""
    kind = form.value.partition("/")[0]
    best, found = 0, 0.0
    for name, quality in ranges:
        fits = 3 if _named(name) is form else {f"{kind}/*": 2, "*/*": 1}.get(name, 0)
        if fits and (fits, quality) > (best, found):
            best, found = fits, quality
    return found
