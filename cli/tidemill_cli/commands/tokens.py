"""`tidemill tokens`: makes the API's bearer tokens, and looks after the file that holds them."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from tidemill_api.auth.entries import TokenEntry, parsed
from tidemill_api.auth.scopes import GRANTED
from tidemill_api.auth.tokens import digest_of, new_token
from tidemill_cli import token_file
from tidemill_cli.token_file import changing, json_of

_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_DIGEST: Final = 12
"""Characters of a digest that tell tokens of one name apart."""

_output = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to print it: for people or for programs.",
)
_file = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TIDEMILL_TOKENS_FILE",
    required=True,
    help="The file of tokens. Default: TIDEMILL_TOKENS_FILE.",
)


@click.group(
    name="tokens",
    epilog="""\b
Examples:
  tidemill tokens new --name me --scope admin --file tokens.json
  tidemill api --tokens-file tokens.json
  tidemill tokens list --file tokens.json
""",
)
def command() -> None:
    """Make bearer tokens for the HTTP API, and look after the file that holds their digests.

    With a file of tokens every request needs one; docs/authentication.md says more.
    """


def _expiry(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is None:
        return None
    parts = _SPAN.fullmatch(text)
    if parts is None:
        raise click.BadParameter("must be minutes, hours or days, such as 45m, 12h or 90d")
    end = datetime.now(UTC) + timedelta(**{_UNITS[parts[2]]: int(parts[1])})
    return end.isoformat(timespec="seconds").replace("+00:00", "Z")


@command.command(
    epilog="""\b
Examples:
  tidemill tokens new --name ci --scope enqueue --file tokens.json
  tidemill tokens new --name mailer --scope work --scope read --queue emails --file tokens.json
  tidemill tokens new --name shop --scope enqueue --rate 100/s --expires 90d -o json
"""
)
@click.option("--name", required=True, help="Whose it is; in logs, metrics and tasks' histories.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([str(scope) for scope in GRANTED]),
    multiple=True,
    required=True,
    help="What it is for; may be given more than once. admin is for everything.",
)
@click.option("--queue", "only", multiple=True, help="Only for this queue; more than once: these.")
@click.option("--rate", help="Most requests per time: 100/s, 20/10s, 1000/h. Default: any.")
@click.option("--expires", "expires_at", callback=_expiry, help="When it ends: 45m, 12h, 90d.")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add it to this file, made if need be; without, the entry is printed.",
)
@_output
def new(file: Path | None, output: str, **fields: Any) -> None:
    """Make a token and print it, once: nobody can find it out again.

    Standard output has the token alone, for `TOKEN=$(tidemill tokens new …)`.
    """
    token = new_token()
    entry = _entry(token, fields)
    if file is not None:
        with changing(file) as entries:
            entries.append(entry)
    if output == "json":
        told = {"token": token, "entry": json_of(entry), "file": file and str(file)}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(token)
    if file is None:
        click.echo(f"Keep the token now. Its entry in the file:\n{_line(entry)}", err=True)
    else:
        click.echo(f"Keep the token now. {file} has its digest, under {entry.name}.", err=True)


@command.command(
    name="list",
    epilog="""\b
Examples:
  tidemill tokens list --file tokens.json
  tidemill tokens list --file tokens.json -o json | jq '.[] | select(.expired)'
""",
)
@_file
@_output
def list_(file: Path, output: str) -> None:
    """Show the tokens of a file: names, scopes, limits, the beginnings of their digests."""
    entries, now = token_file.read(file), datetime.now(UTC)
    if output == "json":
        shown = [{**json_of(each), "expired": each.expired(now)} for each in entries]
        click.echo(json.dumps(shown, indent=2))
    else:
        for line in _table(entries, now):
            click.echo(line)


@command.command(
    epilog="""\b
Examples:
  tidemill tokens check --file tokens.json     before it becomes a Secret
"""
)
@_file
def check(file: Path) -> None:
    """Say whether the API would take a file; 2 = no, with the field and the rule."""
    entries, now = token_file.read(file), datetime.now(UTC)
    expired = sum(each.expired(now) for each in entries)
    count = "1 token" if len(entries) == 1 else f"{len(entries)} tokens"
    click.echo(f"{file}: {count}" + (f", {expired} expired" if expired else ""))


@command.command(
    epilog="""\b
Examples:
  tidemill tokens revoke --name ci --file tokens.json                          all of this name
  tidemill tokens revoke --name ci --sha256 9f86d081884c --file tokens.json    one of them
"""
)
@click.option("--name", required=True, help="Whose tokens.")
@click.option("--sha256", default="", help="Only the one whose digest begins so: see `list`.")
@_file
def revoke(name: str, sha256: str, file: Path) -> None:
    """Take tokens out of a file; the API knows it within 2 seconds, without a restart."""
    with changing(file) as entries:
        left = [e for e in entries if e.name != name or not e.sha256.startswith(sha256)]
        gone = len(entries) - len(left)
        if not gone:
            digest = f" and digest {sha256}…" if sha256 else ""
            raise click.ClickException(f"{file} has no token of name {name}{digest}")
        entries[:] = left
    click.echo(f"{file}: {gone} of {name} removed, {len(left)} left")


def _entry(token: str, fields: dict[str, Any]) -> TokenEntry:
    """Return the token's entry. Raises ConfigurationError for what no API would take."""
    fields["queues"] = fields.pop("only") or None
    given = {"sha256": digest_of(token).hex(), **fields}
    said = {name: value for name, value in given.items() if value is not None}
    (entry,) = parsed(json.dumps({"tokens": [said]}).encode(), "the entry").tokens
    return entry


def _line(entry: TokenEntry) -> str:
    return json.dumps({"tokens": [json_of(entry)]})


def _table(entries: Sequence[TokenEntry], now: datetime) -> Iterator[str]:
    rows = [("NAME", "SCOPES", "QUEUES", "RATE", "EXPIRES", "SHA256")]
    rows += [
        (
            each.name,
            ",".join(each.scopes),
            "all" if each.queues is None else ",".join(each.queues),
            each.rate or "-",
            _end(each, now),
            each.sha256[:_DIGEST],
        )
        for each in entries
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _end(entry: TokenEntry, now: datetime) -> str:
    if entry.expires_at is None:
        return "-"
    time = f"{entry.expires_at:%Y-%m-%d %H:%MZ}"
    return f"{time} (expired)" if entry.expired(now) else time
