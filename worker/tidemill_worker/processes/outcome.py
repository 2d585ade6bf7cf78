"""What came out of a handler in its process, as a frame; and back into what the worker records.

The handler process says whether the exception may be retried: only there the exception exists.
"""

from tidemill.sdk.definition import TaskDefaults
from tidemill.signals import Retry, Snooze
from tidemill_worker.conclude import Ended, Reported, Unstorable, described, may_retry, storable
from tidemill_worker.processes.wire import Frame


def frame_of(ended: Ended, defaults: TaskDefaults) -> Frame:
    """Return the frame that tells the worker of `ended`."""
    error = ended.error
    if error is None:
        try:
            return {"is": "ended", "result": storable(ended.value)}
        except Unstorable as unstorable:
            error = unstorable
    if isinstance(error, Snooze):
        return {"is": "ended", "snooze": error.seconds}
    return {
        "is": "ended",
        "error": described(error),
        "retried": may_retry(error, defaults),
        "after": error.after if isinstance(error, Retry) else None,
    }


def ended_of(frame: Frame) -> Ended:
    """Return what the frame of a handler process tells."""
    if "snooze" in frame:
        return Ended(error=Snooze(frame["snooze"]))
    if "error" in frame:
        return Ended(error=Reported(frame["error"], frame["retried"], frame["after"]))
    return Ended(value=frame["result"])
