"""Spans: what a request spends its time on, as OpenTelemetry has it.

Nothing is recorded unless an endpoint is set, and then `span` costs a look at a variable. There
is no global tracer: each server has its own, which goes along with the request. Spans never hold
SQL, values, or the messages of errors, which quote them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from flight_server.errors import PixelflightError
from flight_server.telemetry.requests import OK, ServedRequest, serving

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from flight_server.settings import Settings

SERVICE = "pixelflight"
TRACES_PATH = "/v1/traces"
TRACE_HEADERS = PARENT, STATE = "traceparent", "tracestate"
_NOTHING: AbstractContextManager[None] = nullcontext()
_W3C = TraceContextTextMapPropagator()

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
Attribute = str | int | float | bool


def span(name: str, **attributes: Attribute) -> AbstractContextManager[Any]:
    """A part of the request that this thread works for, while the block runs."""
    request = serving.get()
    if request is None or request.span is None:
        return _NOTHING
    return _OpenSpan(request, name, attributes)


def traced(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """A function whose calls are spans of its name."""
    name = f"operation {function.__name__}"

    @functools.wraps(function)
    def within_span(*arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
        request = serving.get()
        if request is None or request.span is None:
            return function(*arguments, **named)
        with _OpenSpan(request, name, {}):
            return function(*arguments, **named)

    return within_span


def stream_span(name: str, **attributes: Attribute) -> StreamSpan | None:
    """A part of the request that goes on after this block; None where nothing is recorded."""
    request = serving.get()
    if request is None or request.span is None:
        return None
    return StreamSpan(_started(request, name, attributes))


class StreamSpan:
    """The span of a stream, which whoever opened it ends with the stream."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token: Any = None
        self.rows = 0
        self.batches = 0

    def __enter__(self) -> StreamSpan:
        """What opens the stream happens within it."""
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        contexts.detach(self._token)
        if error is not None:
            _fail(self._span, error)
            self._span.end()

    def end(self, error: BaseException | None = None) -> None:
        """The stream has ended; a second time does nothing."""
        if not self._span.is_recording():
            return
        counts = {"pixelflight.rows": self.rows, "pixelflight.batches": self.batches}
        self._span.set_attributes(counts)
        if error is not None:
            _fail(self._span, error)
        self._span.end()


class Tracing:
    """The tracer of one server, and how it begins and ends the span of a whole request."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("flight_server")

    def begin(self, request: ServedRequest, headers: Mapping[str, str]) -> None:
        """Opens the request's span, below the one that its headers name."""
        parent = _W3C.extract(headers) if headers.get(PARENT) else contexts.Context()
        kind = SpanKind.SERVER
        request.span = self._tracer.start_span(request.operation or request.door, parent, kind)
        request.tracer = self._tracer
        contexts.attach(trace.set_span_in_context(request.span))

    def end(self, request: ServedRequest) -> None:
        """Ends it with what has become of the request."""
        span = request.span
        if span is None:
            return
        span.update_name(request.operation)
        span.set_attributes(
            {
                "pixelflight.door": request.door,
                "pixelflight.request_id": request.id,
                "pixelflight.principal": request.principal,
                "pixelflight.rows_in": request.rows_in,
                "pixelflight.rows_out": request.rows_out,
            }
        )
        if request.status:
            span.set_attribute("http.response.status_code", request.status)
        if request.code != OK:
            span.set_attribute("error.type", request.code)
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()


def tracing_of(settings: Settings) -> Tracing | None:
    """What sends spans to `otel_endpoint`; None where that is not set."""
    if settings.otel_endpoint is None:
        return None
    # A fifth of a second of imports, for those who trace.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    provider = TracerProvider(
        resource=Resource.create({"service.name": SERVICE}),
        sampler=ParentBasedTraceIdRatio(settings.otel_sample_ratio),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=settings.otel_endpoint)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


class _OpenSpan:
    """A span while a block runs."""

    def __init__(
        self, request: ServedRequest, name: str, attributes: Mapping[str, Attribute]
    ) -> None:
        self._request, self._name, self._attributes = request, name, attributes

    def __enter__(self) -> Span:
        self._span = _started(self._request, self._name, self._attributes)
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        contexts.detach(self._token)
        if error is not None:
            _fail(self._span, error)
        self._span.end()


def _started(request: ServedRequest, name: str, attributes: Mapping[str, Attribute]) -> Span:
    assert request.tracer is not None, "a request with a span has its tracer"
    return request.tracer.start_span(name, attributes=attributes)


def _fail(span: Span, error: BaseException) -> None:
    code = error.code.text if isinstance(error, PixelflightError) else type(error).__name__
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR))
