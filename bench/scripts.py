r"""What pgbench runs: the statements of `core/tidemill/sql/queries`, made into its scripts. Pure.

The statement files are read and given pgbench's variables for their parameters; what a statement
answers is wrapped into one row so that the next one can name it (`\gset`). Arrays that a client
would build are built once a session, outside of what repeats.
"""

import re
from dataclasses import dataclass, field

from bench import arguments, noop
from tidemill import sql
from tidemill.store.hints import TRAIL

QUEUE = "bench"

_PARAMETER = re.compile(r"\$(\d+)")
_COMMENT = re.compile(r"--[^\n]*")
_LAST_SELECT = re.compile(r"^SELECT\b", re.MULTILINE)

# What runs once a session; `ready` is 0 at its start.
_ONCE = "\\if :ready\n\\else\nSELECT {columns}\n\\gset\n\\set ready 1\n\\endif\n"
_ENDS = (
    "array_fill('succeeded'::text, ARRAY[:batch::integer]) AS outcomes, "
    "array_fill(0.001::double precision, ARRAY[:batch::integer]) AS seconds"
)
_NEWS = (
    "array_fill(:type::text, ARRAY[:batch::integer]) AS types, "
    "array_fill(:payload::json, ARRAY[:batch::integer]) AS payloads, "
    "array_fill(:queue::text, ARRAY[:batch::integer]) AS queues"
)


@dataclass(frozen=True, slots=True)
class Script:
    """A pgbench script and the variables that it starts with. `batch` tasks a transaction."""

    text: str
    variables: dict[str, str | int] = field(default_factory=dict[str, "str | int"])

    @property
    def batch(self) -> int:
        """Return how many tasks one run of the script does."""
        return int(self.variables.get("batch", 1))


@dataclass(frozen=True, slots=True)
class Claims:
    """Who claims in a script and from where on.

    Each client is a worker of its own, `first_worker` and on; `floor` is where Tidemill's memory
    would start: some thousands of places behind the newest claim.
    """

    queue_id: int
    first_worker: int
    floor: int = 0

    def variables(self) -> dict[str, str | int]:
        """Return the variables that the claim names."""
        return {"queue_id": self.queue_id, "first_worker": self.first_worker, "floor": self.floor}


_TASK: dict[str, str | int] = {"type": noop.TYPE, "payload": noop.PAYLOAD_TEXT, "queue": QUEUE}


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


def drain_script(claims: Claims, batch: int) -> Script:
    """Return claim and finish of `batch` tasks."""
    text = f"{_ONCE.format(columns=_ENDS)}{_claim()}{_finish()}"
    return Script(text, claims.variables() | {"batch": batch})


def steady_script(claims: Claims, batch: int) -> Script:
    """Return enqueue, claim and finish of `batch` tasks."""
    text = f"{_ONCE.format(columns=f'{_NEWS}, {_ENDS}')}{_enqueue()}{_claim()}{_finish()}"
    return Script(text, _TASK | claims.variables() | {"batch": batch})


def arrival_script(claims: Claims) -> Script:
    """Return enqueue and claim of one task: the shortest way from a producer to a handler."""
    return Script(
        f"{_ONCE.format(columns=_NEWS)}{_enqueue()}{_claim()}",
        _TASK | claims.variables() | {"batch": 1},
    )


def enqueue_script(batch: int) -> Script:
    """Return one enqueue of `batch` tasks."""
    return Script(f"{_ONCE.format(columns=_NEWS)}{_enqueue()}", _TASK | {"batch": batch})


def function_script(batch: int) -> Script:
    """Return one call of the SQL API: `enqueue` for 1 task, `enqueue_many` for more."""
    if batch == 1:
        return Script(
            "SELECT tidemill.enqueue(:type, :payload::jsonb, :queue, notify => false);\n", _TASK
        )
    tasks = (
        "jsonb_agg(jsonb_build_object('type', :type::text, 'queue', :queue::text, "
        "'payload', :payload::jsonb)) AS tasks FROM generate_series(1, :batch::integer)"
    )
    call = "SELECT count(*) FROM tidemill.enqueue_many(:tasks::jsonb, false);\n"
    return Script(f"{_ONCE.format(columns=tasks)}{call}", _TASK | {"batch": batch})


def _claim() -> str:
    claim = with_variables(sql.load("claim"), arguments.claim())
    columns = (
        "coalesce(array_agg(task_id ORDER BY task_id), '{}') AS ids, "
        "coalesce(array_agg(lease_token ORDER BY task_id), '{}') AS tokens, "
        "array_agg(payload) AS bodies, "
        f"greatest(coalesce(max(seq) - {TRAIL}, :floor), 0) AS floor"
    )
    return f"\\set worker :first_worker + :client_id\n{in_one_row(claim, columns)}\n\\gset\n"


def _finish() -> str:
    values = {1: ":ids", 2: ":tokens", 3: ":outcomes", 4: ":seconds"}
    return with_variables(sql.load("finish"), dict.fromkeys(range(1, 8), "NULL") | values) + ";\n"


def _enqueue() -> str:
    values = dict.fromkeys(range(1, 17), "NULL")
    values |= {1: ":types", 2: ":payloads", 3: ":queues", 15: "'accept'", 16: "true"}
    return with_variables(sql.load("enqueue"), values) + ";\n"
