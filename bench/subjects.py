"""All subjects, by the name that `--case` takes."""

from bench import drain, enqueue
from bench.claim import ClaimCost
from bench.http import Http
from bench.latency import Latency
from bench.memory import Memory
from bench.pinned import Pinned
from bench.retained import Retained
from bench.scaling.fleet import Fleet
from bench.scaling.latency import ScalingLatency
from bench.scaling.updown import UpDown
from bench.scaling.whole import SUBJECTS as WHOLE_CLUSTER
from bench.shares import Shares
from bench.subject import Subject

ALL: dict[str, Subject] = {
    each.name: each
    for each in (
        Shares("drain", drain.limits, drain.cases()),
        Shares("enqueue", enqueue.limits, enqueue.cases()),
        Latency(),
        ClaimCost(),
        Retained(),
        Pinned(),
        Memory(),
        Http(),
        ScalingLatency(),
        Fleet(),
        UpDown(),
        *WHOLE_CLUSTER,
    )
}

DEFAULT = tuple(name for name, each in ALL.items() if each.by_default)
