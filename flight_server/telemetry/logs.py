"""How log lines look, and where they go: alike in the server and in its workers."""

from __future__ import annotations

import json
import logging
import sys

from flight_server.errors import InvalidRequest
from flight_server.settings import Settings
from flight_server.telemetry.requests import RequestFields


def configure_logging(settings: Settings) -> None:
    """Log lines go to standard error as the settings say. InvalidRequest."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper())
    if level is None:
        raise InvalidRequest(
            f"log_level = '{settings.log_level}' is none of DEBUG, INFO, WARNING, ERROR."
        )
    form = "%(asctime)s %(levelname)s %(name)s%(request)s: %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_json else logging.Formatter(form))
    handler.addFilter(RequestFields())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for library in ("alembic", "opentelemetry", "uvicorn"):
        logging.getLogger(library).setLevel(max(level, logging.WARNING))


class JsonLines(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        values: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("request_id", "principal"):
            if value := getattr(record, name, ""):
                values[name] = value
        values |= getattr(record, "fields", {})
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False)
