"""`hooks`: webhooks made, tried, looked after and ended."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated, Any

import pyarrow as pa
import typer

from flight_server.cli.display import show_records
from flight_server.cli.exits import Exit, say
from flight_server.cli.options import Output, OutputOption, names, pairs, with_client
from flight_server.client import Client
from flight_server.errors import InvalidRequest

hooks = typer.Typer(
    help="Webhooks: what happens to tables and jobs, sent to a URL.", no_args_is_help=True
)
Hook = Annotated[str, typer.Argument(metavar="ID", help="As 'hooks list' has it.")]

_HOOKS = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "url", "events", "tables")),
        ("active", pa.bool_()),
        ("owner", pa.string()),
        ("failing_since", pa.timestamp("s", "UTC")),
        ("created_at", pa.timestamp("s", "UTC")),
    ]
)
_FACTS = pa.schema([("field", pa.string()), ("value", pa.string())])
_DELIVERIES = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "event", "status")),
        ("attempts", pa.int64()),
        ("response_status", pa.int64()),
        ("error", pa.string()),
        ("created_at", pa.timestamp("ms", "UTC")),
        ("next_attempt_at", pa.timestamp("s", "UTC")),
        ("data", pa.string()),
    ]
)


def create(
    client: Client,
    to: Annotated[str, typer.Argument(metavar="URL", help="Where to send events.")],
    event: Annotated[
        list[str],
        typer.Option("--event", "-e", help="Such as data.inserted, 'job.*' or '*'; repeatable."),
    ],
    table: Annotated[
        list[str] | None,
        typer.Option("--table", "-t", help="Of this table only, or of 'sales.*'; repeatable."),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE to send along; repeatable.")
    ] = None,
    secret_file: Annotated[
        typer.FileText | None, typer.Option(help="A file with a secret of your own; - is stdin.")
    ] = None,
    retries: Annotated[
        int | None, typer.Option(min=0, help="Try again so often, instead of for three days.")
    ] = None,
    retry_delay: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="And so long after each time.")
    ] = None,
) -> None:
    """Makes a webhook and prints its secret, this once."""
    retry = {"max_retries": retries, "retry_delay_seconds": retry_delay}
    given = {name: value for name, value in retry.items() if value is not None}
    made = client.create_webhook(
        to,
        names(event) or (),
        tables=table or None,
        headers=pairs(header or [], "--header") or None,
        secret=None if secret_file is None else secret_file.read().strip(),
        retry_config=given or None,
    )
    say(f"Webhook {made['id']}. Its secret is shown only now:")
    print(made["secret"])


def list_(client: Client, output: OutputOption = Output.TABLE) -> None:
    """Lists your webhooks; an administrator's list has the workspace's."""
    show_records([_listed(hook) for hook in client.webhooks()], _HOOKS, output)


def show(client: Client, hook: Hook, output: OutputOption = Output.TABLE) -> None:
    """Shows a webhook."""
    told = client.webhook(hook)
    facts = [{"field": name, "value": _text(value)} for name, value in told.items()]
    show_records(facts, _FACTS, output)


def change(
    client: Client,
    hook: Hook,
    active: Annotated[
        bool | None, typer.Option("--on/--off", help="Let it rest, or go on from now.")
    ] = None,
    to: Annotated[str | None, typer.Option(metavar="URL", help="Another URL.")] = None,
    event: Annotated[list[str] | None, typer.Option("--event", "-e", help="Other events.")] = None,
    table: Annotated[list[str] | None, typer.Option("--table", "-t", help="Other tables.")] = None,
) -> None:
    """Changes a webhook: what is not named stays."""
    wanted = {"active": active, "url": to, "events": names(event or []), "tables": table}
    given = {name: value for name, value in wanted.items() if value is not None and value != []}
    if not given:
        raise InvalidRequest("Say what is to be changed: --on, --off, --to, --event or --table.")
    told = client.change_webhook(hook, **given)
    say(f"Webhook {told['id']} is {'active' if told['active'] else 'at rest'}.")


def test(client: Client, hook: Hook) -> None:
    """Sends a test, waits for how it goes, and says so."""
    told = client.test_webhook(hook)
    if told["status"] != "delivered":
        say(f"error: The test {told['id']} did not arrive: {told['error']}")
        raise typer.Exit(Exit.FAILED)
    say(
        f"The test {told['id']} arrived: it answered {told['response_status']} after "
        f"{told['duration_ms']:.0f} ms."
    )


def deliveries(
    client: Client,
    hook: Hook,
    status: Annotated[str | None, typer.Option(help="pending, delivered or failed.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="So many, the newest.")] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists what was sent to a webhook and is to be, the newest first."""
    found = client.deliveries(hook, limit, status)
    show_records([_delivery(one) for one in found], _DELIVERIES, output)


def replay(
    client: Client,
    hook: Hook,
    delivery: Annotated[
        list[str] | None, typer.Argument(metavar="DELIVERY", help="As 'hooks deliveries' has it.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that were given up.")] = False,
) -> None:
    """Sends deliveries again, under their own ids."""
    ids = list(delivery or [])
    if bool(ids) == failed:
        raise InvalidRequest("Name the deliveries to send again, or give --failed for all of them.")
    if failed:
        ids = [one["id"] for one in client.deliveries(hook, 1_000_000, "failed")]
    for id_ in ids:
        client.replay_delivery(hook, id_)
    say(f"{len(ids)} {'is' if len(ids) == 1 else 'are'} sent again.")


def rotate(
    client: Client,
    hook: Hook,
    overlap: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="The old one signs so long; default a day."),
    ] = None,
) -> None:
    """Gives a webhook a new secret and prints it, this once."""
    told = client.rotate_webhook(hook, overlap_seconds=overlap)
    until = told["previous_secret_until"]
    more = f"The old one signs as well until {until[:19]} UTC" if until else "The old one has ended"
    say(f"Webhook {told['id']}. {more}; the new one is shown only now:")
    print(told["secret"])


def remove(client: Client, hook: Hook) -> None:
    """Ends a webhook, and what is on its way to it."""
    client.delete_webhook(hook)
    say(f"The webhook {hook} is removed.")


for _verb in (create, show, change, test, deliveries, replay, rotate, remove):
    hooks.command()(with_client(_verb))
hooks.command("list")(with_client(list_))


def _listed(hook: dict[str, Any]) -> dict[str, Any]:
    return hook | {
        "events": ", ".join(hook["events"]),
        "tables": None if hook["tables"] is None else ", ".join(hook["tables"]),
        "failing_since": _moment(hook["failing_since"]),
        "created_at": _moment(hook["created_at"]),
    }


def _delivery(told: dict[str, Any]) -> dict[str, Any]:
    return told | {
        "created_at": _moment(told["created_at"]),
        "next_attempt_at": _moment(told["next_attempt_at"]),
        "data": json.dumps(told["data"], ensure_ascii=False),
    }


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _moment(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)
