"""What /openapi.json cannot tell schemathesis: our formats, and rules about what is stored."""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st
from schemathesis.openapi.checks import RejectedPositiveData

from tidemill_api.requests.fields import LONGEST_WAIT as MOST_WAIT

LONGEST_WAIT: Final = 0.05
"""Seconds that a long poll may last here: it would only lengthen the run."""

_UNKNOWN_TYPE: Final = "urn:tidemill:problem:unknown-type"
_STORED: Final = re.compile(
    r"(tasks\[\d+\]\.)?(payload\b|idempotency_ttl_seconds$)|schema$|Idempotency-Key$|since$"
)
"""Places whose value must fit a type's schema, be a schema, or go with what is in another place."""

_TIMES: Final = st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone
_FIELDS: Final = ("*", "*/5", "1", "1-5", "2,3")  # each is good in every place
_SHORTHANDS: Final = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
_ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")

schemathesis.openapi.format("date-time", _TIMES.map(datetime.isoformat))
schemathesis.openapi.format("time-zone", st.sampled_from(_ZONES))
schemathesis.openapi.format(
    "cron",
    st.tuples(*[st.sampled_from(_FIELDS)] * 5).map(" ".join) | st.sampled_from(_SHORTHANDS),
)


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: Any) -> None:
    """Shorten a valid long poll."""
    try:
        wait = float((case.query or {})["wait"])
    except (KeyError, TypeError, ValueError):
        return
    if LONGEST_WAIT < wait <= MOST_WAIT:
        case.query["wait"] = LONGEST_WAIT


@schemathesis.hook
def filter_failure(_context: Any, failure: Any, _case: Any, response: Any) -> bool:
    """Keep what is wrong; drop what was refused by what is stored, not by the document."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = json.loads(response.content)
    faults = problem.get("faults") or []
    refused = [fault for fault in faults if not _STORED.match(fault["field"])]
    return problem["type"] != _UNKNOWN_TYPE and bool(refused or not faults)
