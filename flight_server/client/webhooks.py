"""Webhooks: what the client does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flight_server.client.calls import Calls

PAGE_MAX = 1_000


class WebhookCalls(Calls):
    """The client's methods for it. Webhooks and deliveries are as in `docs/webhooks.md`."""

    def create_webhook(
        self,
        url: str,
        events: Sequence[str],
        *,
        tables: Sequence[str] | None = None,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_config: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Has events sent to a URL. The answer holds the secret, which is shown this once."""
        answer: dict[str, Any] = self._act(
            "create_webhook",
            url=url,
            events=list(events),
            tables=None if tables is None else list(tables),
            secret=secret,
            headers=None if headers is None else dict(headers),
            retry_config=None if retry_config is None else dict(retry_config),
        )
        return answer

    def webhooks(self) -> list[dict[str, Any]]:
        """One's webhooks."""
        found: list[dict[str, Any]] = self._act("list_webhooks")["webhooks"]
        return found

    def webhook(self, webhook: str) -> dict[str, Any]:
        """One webhook, by its id."""
        answer: dict[str, Any] = self._act("describe_webhook", webhook=webhook)
        return answer

    def change_webhook(self, webhook: str, **values: Any) -> dict[str, Any]:
        """Other values for a webhook: `url`, `events`, `tables`, `active`, `headers` and so on."""
        answer: dict[str, Any] = self._act("change_webhook", webhook=webhook, **values)
        return answer

    def rotate_webhook(
        self, webhook: str, *, secret: str | None = None, overlap_seconds: float | None = None
    ) -> dict[str, Any]:
        """A new secret, shown this once; the old one signs beside it, for a day if nothing else."""
        answer: dict[str, Any] = self._act(
            "rotate_webhook", webhook=webhook, secret=secret, overlap_seconds=overlap_seconds
        )
        return answer

    def delete_webhook(self, webhook: str) -> None:
        """Ends a webhook, and what is on its way to it."""
        self._act("delete_webhook", webhook=webhook)

    def test_webhook(self, webhook: str) -> dict[str, Any]:
        """Sends a test and waits for how it goes."""
        answer: dict[str, Any] = self._act("test_webhook", webhook=webhook)
        return answer

    def deliveries(
        self, webhook: str, limit: int = 100, status: str | None = None
    ) -> list[dict[str, Any]]:
        """What was delivered to a webhook and is to be, the newest first."""
        found: list[dict[str, Any]] = []
        cursor: int | None = None
        while len(found) < limit:
            page = self._act(
                "list_deliveries",
                webhook=webhook,
                status=status,
                limit=min(limit - len(found), PAGE_MAX),
                cursor=cursor,
            )
            found += page["deliveries"]
            cursor = page["cursor"]
            if cursor is None:
                break
        return found

    def replay_delivery(self, webhook: str, delivery: str) -> dict[str, Any]:
        """Has a delivery sent again, under its own id."""
        answer: dict[str, Any] = self._act("replay_delivery", webhook=webhook, delivery=delivery)
        return answer
