"""A server that speaks the protocols of providers of models, and answers always the same.

`/v1/chat/completions` and `/v1/embeddings` as OpenAI has them, `/v1/messages` as Anthropic,
`/api/chat` as Ollama. What is asked says what goes wrong: see `_refusal`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

LETTERS = "abcdefghijklmnopqrstuvwxyz"
Answer = tuple[int, dict[str, Any], dict[str, str]]


@dataclass
class Models:
    """The server. `keys` are those that it knows, `asked` who asked for what, and when."""

    url: str = ""
    keys: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str, float]] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)

    def keys_of(self, path: str) -> list[str]:
        """The keys that were shown for a path, in their order."""
        return [key for _, asked, key, _ in self.asked if asked == path]


@contextmanager
def serving() -> Iterator[Models]:
    """A server while the block runs."""
    models = Models()
    server = _Server(("127.0.0.1", 0), _handler(models))
    models.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield models
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with serving() as opened:
        yield opened


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who has heard of one failure does not wait for the next answer."""


def _handler(models: Models) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An answer goes out at once, and not when the other end has acknowledged its head.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            shown = self.headers.get("authorization", "").removeprefix("Bearer ")
            key = self.headers.get("x-api-key") or shown
            models.asked.append((body["model"], self.path, key, time.monotonic()))
            refused = _refusal(models, self.path, key, body)
            status, answer, headers = refused or (200, _ANSWERS[self.path](body), {})
            text = json.dumps(answer).encode()
            self.send_response(status)
            for name, text_of_header in headers.items():
                self.send_header(name, text_of_header)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def _refusal(models: Models, path: str, key: str, body: Mapping[str, Any]) -> Answer | None:
    """A key that is not known, with the key in the text; a model that is busy at first."""
    if not path.startswith("/api/") and key not in models.keys:
        text = f"Incorrect API key provided: {key}."
        return 401, {"error": {"message": text, "code": "invalid_api_key"}}, {}
    if body["model"] in models.busy:
        models.busy.discard(body["model"])
        refusal = {"message": "Rate limit reached.", "code": "rate_limit_exceeded"}
        return 429, {"error": refusal}, {"retry-after": "1", "retry-after-ms": "10"}
    if _said(body) == "unspeakable":
        return 400, {"error": {"message": "That cannot be said.", "code": "refused"}}, {}
    return None


def _said(body: Mapping[str, Any]) -> str:
    return str(body["messages"][-1]["content"]) if "messages" in body else ""


def _completion(body: Mapping[str, Any]) -> dict[str, Any]:
    said = _said(body)
    message = {"role": "assistant", "content": said.upper()}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": len(said),
            "completion_tokens": 2,
            "total_tokens": len(said) + 2,
            "cost": 0.25,
        },
    }


def _embeddings(body: Mapping[str, Any]) -> dict[str, Any]:
    texts = body["input"]
    vectors = [[float(text.count(letter)) for letter in LETTERS[:8]] for text in texts]
    data = [
        {"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)
    ]
    tokens = sum(map(len, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def _message(body: Mapping[str, Any]) -> dict[str, Any]:
    said = _said(body)
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": said.upper()}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": len(said), "output_tokens": 3},
    }


def _chat(body: Mapping[str, Any]) -> dict[str, Any]:
    said = _said(body)
    return {
        "model": body["model"],
        "created_at": "2031-01-31T00:00:00Z",
        "message": {"role": "assistant", "content": said.upper()},
        "done": True,
        "prompt_eval_count": len(said),
        "eval_count": 4,
    }


_ANSWERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "/v1/chat/completions": _completion,
    "/v1/embeddings": _embeddings,
    "/v1/messages": _message,
    "/api/chat": _chat,
}
