r"""The limit: the statements of `core/tidemill/sql/queries`, driven by pgbench.

The statement files are read and given pgbench's variables for their parameters; what a statement
answers is wrapped into one row so that the next one can name it (`\gset`). Arrays that a client
would build are built once a session, outside of what repeats.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from bench import noop
from bench.case import BenchError
from bench.measure import Sample
from bench.target import QUEUE, Target
from tidemill import sql
from tidemill.address import connect_options
from tidemill.store.hints import TRAIL

_PARAMETER = re.compile(r"\$(\d+)")
_COMMENT = re.compile(r"--[^\n]*")
_LAST_SELECT = re.compile(r"^SELECT\b", re.MULTILINE)
_TPS = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)", re.MULTILINE)
_DONE = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)

_ESCAPES = str.maketrans({" ": "\\ ", "\\": "\\\\"})
# What runs once a session; `ready` is 0 at its start.
_ONCE = "\\if :ready\n\\else\n{statement}\n\\gset\n\\set ready 1\n\\endif\n"


@dataclass(frozen=True, slots=True)
class Script:
    """A pgbench script and the variables that it starts with."""

    text: str
    variables: dict[str, str | int] = field(default_factory=dict[str, "str | int"])


_TASK: dict[str, str | int] = {
    "type": noop.TYPE,
    "payload": noop.PAYLOAD_TEXT,
    "queue": QUEUE,
}


def with_variables(statement: str, values: dict[int, str]) -> str:
    """Return `statement` without comments, its `$n` replaced by `values[n]`."""
    bare = _COMMENT.sub("", statement)
    return _PARAMETER.sub(lambda found: values[int(found[1])], bare).strip()


def in_one_row(statement: str, columns: str) -> str:
    """Return a WITH statement whose last SELECT has become `answer`, and `columns` are read of it.

    A statement that changes rows in its WITH can be nobody's subquery: so its end moves into one.
    """
    *_, last = _LAST_SELECT.finditer(statement)
    head, tail = statement[: last.start()].rstrip(), statement[last.start() :].strip()
    return f"{head}, answer AS (\n{tail}\n)\nSELECT {columns} FROM answer"


def drain_script(queue_id: int, first_worker: int, batch: int) -> Script:
    """Return claim and finish of `batch` tasks; each client is a worker of its own.

    The claim starts where Tidemill's would: some thousands of places behind the newest claim.
    """
    claim = with_variables(
        sql.load("claim"),
        {
            1: ":worker", 2: "1", 3: ":batch", 4: "30",
            5: "ARRAY[:queue, :queue]", 6: "ARRAY[0, 0]", 7: "ARRAY[0, 1]",
            8: "ARRAY[0, :floor]", 9: "ARRAY[]", 10: "ARRAY[]", 11: "false",
        },
    )  # fmt: skip
    finish = with_variables(
        sql.load("finish"),
        {1: ":ids", 2: ":tokens", 3: ":outcomes", 4: ":seconds", 5: "NULL", 6: "NULL", 7: "NULL"},
    )
    claimed = in_one_row(
        claim,
        "array_agg(task_id ORDER BY task_id) AS ids, "
        "array_agg(lease_token ORDER BY task_id) AS tokens, array_agg(payload) AS bodies, "
        f"greatest(max(seq) - {TRAIL}, 0) AS floor",
    )
    once = (
        "SELECT array_fill('succeeded'::text, ARRAY[:batch::integer]) AS outcomes, "
        "array_fill(0.001::double precision, ARRAY[:batch::integer]) AS seconds"
    )
    text = (
        "\\set worker :first_worker + :client_id\n"
        f"{_ONCE.format(statement=once)}{claimed}\n\\gset\n{finish};\n"
    )
    return Script(
        text, {"queue": queue_id, "first_worker": first_worker, "batch": batch, "floor": 0}
    )


def enqueue_script(batch: int) -> Script:
    """Return one enqueue of `batch` tasks."""
    values = dict.fromkeys(range(1, 15), "NULL")
    values |= {1: ":types", 2: ":payloads", 3: ":queues", 15: "'accept'", 16: "true"}
    enqueue = with_variables(sql.load("enqueue"), values)
    once = (
        "SELECT array_fill(:type::text, ARRAY[:batch::integer]) AS types, "
        "array_fill(:payload::json, ARRAY[:batch::integer]) AS payloads, "
        "array_fill(:queue::text, ARRAY[:batch::integer]) AS queues"
    )
    return Script(f"{_ONCE.format(statement=once)}{enqueue};\n", _TASK | {"batch": batch})


def function_script(batch: int) -> Script:
    """Return one call of the SQL API: `enqueue` for 1 task, `enqueue_many` for more."""
    if batch == 1:
        return Script(
            "SELECT tidemill.enqueue(:type, :payload::jsonb, :queue, notify => false);\n", _TASK
        )
    once = (
        "SELECT jsonb_agg(jsonb_build_object('type', :type::text, 'queue', :queue::text, "
        "'payload', :payload::jsonb)) AS tasks FROM generate_series(1, :batch::integer)"
    )
    call = "SELECT count(*) FROM tidemill.enqueue_many(:tasks::jsonb, false);"
    return Script(f"{_ONCE.format(statement=once)}{call}\n", _TASK | {"batch": batch})


def seconds_of(output: str, transactions: int) -> float:
    """Return how long the transactions took, connecting left out. Raises BenchError."""
    done, rate = _DONE.search(output), _TPS.search(output)
    if done is None or rate is None or int(done[1]) != transactions:
        raise BenchError(f"pgbench did not do its {transactions} transactions:\n{output}")
    return transactions / float(rate[1])


def options(settings: Mapping[str, str]) -> str:
    """Return server settings as PGOPTIONS takes them: a space within a value is escaped."""
    return " ".join(f"-c {name}={value.translate(_ESCAPES)}" for name, value in settings.items())


async def run(
    target: Target, sample: Sample, script: Script, *, connections: int, transactions: int
) -> None:
    """Run `script` so often in all, over so many connections; note the time in `sample`.

    `transactions` must be a multiple of `connections`. Raises BenchError with pgbench's words.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.sql"
        file.write_text(script.text)
        program = [
            target.pgbench,
            *("--no-vacuum", "--protocol=prepared", f"--file={file}"),
            *(f"--client={connections}", f"--jobs={min(connections, 2)}"),
            f"--transactions={transactions // connections}",
            *(f"-D{name}={value}" for name, value in {**script.variables, "ready": 0}.items()),
        ]
        with target.timed(sample):
            output = await _output(target, program)
    sample.seconds = seconds_of(output, transactions)


async def _output(target: Target, program: list[str]) -> str:
    url = urlsplit(target.url)
    bare = url._replace(netloc=f"{url.username}@{url.hostname}:{url.port or 5432}")
    process = await asyncio.create_subprocess_exec(
        *program,
        urlunsplit(bare),
        env=_environment(target, unquote(url.password or "")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise BenchError(f"pgbench failed:\n{output.decode()}")
    return output.decode()


def _environment(target: Target, password: str) -> dict[str, str]:
    """Return an environment in which the sessions have the same settings as Tidemill's."""
    settings = connect_options(target.settings, application="bench")["server_settings"]
    return {**os.environ, "PGPASSWORD": password, "PGOPTIONS": options(settings)}
