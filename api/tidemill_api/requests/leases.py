"""What workers in other languages say: who they are, what they want, how attempts ended."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from tidemill.errors import Fault
from tidemill.failures import MESSAGE_CHARACTERS, error_record
from tidemill.jsontext import dumps
from tidemill.models import Lease, WorkerInfo, queue_name_pattern
from tidemill.store.endings import Ended, Ending
from tidemill_api.requests.fields import WHOLE, Id, Seconds, Strict, TypeName, Wait

MOST_LEASES = 1000
MOST_SLOTS = 10_000
MOST_NAMES = 1000
LONGEST_TEXT = 100_000
_MOST_ID = 2**63 - 1
_MANY = Field(min_length=1, max_length=MOST_LEASES)

WorkerId = Annotated[
    int, Field(ge=1, le=_MOST_ID, description="as POST /api/workers answered"), WHOLE
]
Token = Annotated[int, Field(ge=1, le=_MOST_ID, description="as the claim answered"), WHOLE]
LeaseSeconds = Annotated[
    Annotated[float, Field(ge=1, le=86_400)] | None,
    Field(description="where the queue sets none; default: the server's"),
]
RunSeconds = Annotated[
    Seconds | None, Field(description="how long the handler ran; default: since the claim")
]
_Short = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class RegisterRequest(Strict):
    """A worker process that begins."""

    name: Annotated[_Short, Field(description="for people")]
    slots: Annotated[
        int, Field(ge=1, le=MOST_SLOTS, description="tasks that it runs at once"), WHOLE
    ] = 1
    queues: Annotated[
        list[Annotated[str, Field(pattern=rf"{queue_name_pattern}|^\*$")]],
        Field(min_length=1, max_length=MOST_NAMES, description="that it claims from; `*` = all"),
    ]
    version: Annotated[str, Field(max_length=200)] = ""
    hostname: Annotated[str, Field(max_length=255)] = ""
    pid: Annotated[int, Field(ge=0, le=2**31 - 1), WHOLE] = 0
    pod_uid: Annotated[
        _Short | None, Field(description="then its tasks run again as soon as the pod has died")
    ] = None
    pod_name: _Short | None = None

    def value(self) -> WorkerInfo:
        """Return the worker as core knows it."""
        return WorkerInfo(
            name=self.name,
            slots=self.slots,
            queues=tuple(self.queues),
            version=self.version,
            hostname=self.hostname,
            pid=self.pid,
            pod_uid=self.pod_uid,
            pod_name=self.pod_name,
        )


class ClaimRequest(Strict):
    """How many tasks a worker takes."""

    worker_id: WorkerId
    limit: Annotated[int, Field(ge=1, le=MOST_LEASES), WHOLE] = 1
    types: Annotated[
        Annotated[list[TypeName], Field(min_length=1, max_length=MOST_NAMES)] | None,
        Field(description="tasks of other types go back, uncharged; default: any"),
    ] = None
    lease_seconds: LeaseSeconds = None


class ClaimQuery(Strict):
    """How long to wait for a task."""

    wait: Annotated[Wait, Field(description="seconds; answered as soon as there is a task")] = 0.0


class LeaseRequest(Strict):
    """A lease."""

    task_id: Id
    token: Token

    @property
    def lease(self) -> Lease:
        """The lease as core knows it."""
        return Lease(self.task_id, self.token)


class ProgressRequest(Strict):
    """How far a task has come; shown while it runs. Of a long message the start is kept."""

    done: Annotated[float, Field(ge=-1e15, le=1e15)]
    total: Annotated[float, Field(ge=-1e15, le=1e15)] | None = None
    message: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None

    def text(self) -> str:
        """Return the progress as it is stored."""
        message = None if self.message is None else self.message[:MESSAGE_CHARACTERS]
        given = {"done": self.done, "total": self.total, "message": message}
        return dumps({name: value for name, value in given.items() if value is not None})


class ExtendedRequest(LeaseRequest):
    """A lease to keep."""

    progress: ProgressRequest | None = None


class ExtendRequest(Strict):
    """A heartbeat: of a worker, and of the leases that it holds."""

    worker_id: WorkerId
    lease_seconds: LeaseSeconds = None
    release_others: Annotated[
        bool,
        Field(
            description="these are all that it holds: what else was claimed for it (an answer "
            "was lost) goes back, uncharged. Not while a claim is on its way"
        ),
    ] = False
    leases: Annotated[list[ExtendedRequest], Field(max_length=MOST_LEASES)]


class _EndRequest(LeaseRequest):
    run_seconds: RunSeconds = None


class CompletedRequest(_EndRequest):
    """An attempt that succeeded."""

    result: Annotated[Any, Field(description="any JSON value, kept with the task")] = None

    def value(self) -> Ended:
        """Return the end as core knows it."""
        return Ended(
            lease=self.lease,
            ending=Ending.COMPLETE,
            result=self.result,
            run_seconds=self.run_seconds,
        )


class ErrorRequest(Strict):
    """What went wrong. Long texts are cut, secrets are hidden."""

    type: Annotated[_Short, Field(description="such as `ValueError`")]
    message: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""
    traceback: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""


class FailedRequest(_EndRequest):
    """An attempt that failed. The task runs again while it has retries left."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"retry": {"const": False}}, "required": ["retry"]},
            "then": {"properties": {"after": {"type": "null"}}},
        }
    )

    error: ErrorRequest
    retry: Annotated[bool, Field(description="false: a dead letter, now")] = True
    after: Annotated[
        Seconds | None, Field(description="seconds; instead of the retry policy's delay")
    ] = None

    def value(self) -> Ended:
        """Return the end as core knows it."""
        error = self.error
        return Ended(
            lease=self.lease,
            ending=Ending.FAIL,
            error=error_record(error.type, error.message or error.type, error.traceback),
            retry=self.retry,
            after=self.after,
            run_seconds=self.run_seconds,
        )


class ReleasedRequest(LeaseRequest):
    """A task that is given back, uncharged."""

    run_seconds: Annotated[
        Seconds | None, Field(description="how long the handler ran; default: it never did")
    ] = None

    def value(self) -> Ended:
        """Return the end as core knows it."""
        return Ended(lease=self.lease, ending=Ending.RELEASE, run_seconds=self.run_seconds)


class SnoozedRequest(_EndRequest):
    """A task that is to run later, uncharged."""

    seconds: Annotated[Seconds, Field(description="from now")]

    def value(self) -> Ended:
        """Return the end as core knows it."""
        return Ended(
            lease=self.lease,
            ending=Ending.SNOOZE,
            after=self.seconds,
            run_seconds=self.run_seconds,
        )


class CompleteRequest(Strict):
    """Attempts that succeeded."""

    leases: Annotated[list[CompletedRequest], _MANY]


class FailRequest(Strict):
    """Attempts that failed."""

    leases: Annotated[list[FailedRequest], _MANY]

    def faults(self) -> Sequence[Fault]:
        """Return the rules broken between fields."""
        return [
            Fault(f"leases[{place}].after", "is for attempts that are retried")
            for place, each in enumerate(self.leases)
            if each.after is not None and not each.retry
        ]


class ReleaseRequest(Strict):
    """Tasks that are given back."""

    leases: Annotated[list[ReleasedRequest], _MANY]


class SnoozeRequest(Strict):
    """Tasks that are to run later."""

    leases: Annotated[list[SnoozedRequest], _MANY]


EndsRequest = CompleteRequest | FailRequest | ReleaseRequest | SnoozeRequest
