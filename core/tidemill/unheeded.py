"""Variables `TIDEMILL_*` that are no setting: a misspelt one would do nothing, silently."""

import re
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Final

from tidemill.setting import PREFIX, variable_of
from tidemill.settings import Settings

OTHERS: Final = re.compile(
    r"TIDEMILL_("
    r"RECYCLED"  # a worker's note to itself
    r"|CHILD_READY"  # where a process of an API with several says that it serves
    r"|URL|API_URL|API_TOKEN|CODES"  # clients of the API, as examples and users name them
    r"|(APP|OWNER|OPERATOR)_PASSWORD"  # of the chart's own Postgres
    r"|(TEST|TESTBED)_\w+"  # for developing Tidemill
    r"|\w+_SERVICE_(HOST|PORT\w*)|\w+_PORT_\d+_\w+"  # Kubernetes, for a Service tidemill-…
    r")"
)
"""Variables that something else reads."""


def unheeded(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that nothing reads; never its value, it may be secret."""
    known = [variable_of(each.name) for each in fields(Settings)]
    names = sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name not in known and not OTHERS.fullmatch(name)
    )
    return [f"{name} is no setting and has no effect{_hint(name, known)}" for name in names]


def _hint(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.8)
    return f": did you mean {near[0]}?" if near else " (`tidemill config` lists all settings)"
