"""What a worker says at its start of what may be a mistake. It works all the same."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Final

from tidemill.schedules import Schedule

MOST_NAMES: Final = 10


def unknown_queues(named: Collection[str], known: Sequence[str]) -> list[tuple[bool, str]]:
    """Return a sentence for each queue in `named` that does not exist, and whether it is a warning.

    A queue may be made by its first task, so one that is not there yet may be right; one that is
    much like a queue that this worker does not serve is likely misspelt.
    """
    others = [name for name in known if name not in named]
    shown = ", ".join(known[:MOST_NAMES]) + (", …" if len(known) > MOST_NAMES else "")
    told: list[tuple[bool, str]] = []
    for name in dict.fromkeys(named):
        if name in known:
            continue
        near = get_close_matches(name, others, n=1, cutoff=0.75)
        meant = f"did you mean {near[0]}?" if near else "it is served once it is there"
        told.append(
            (bool(near), f"there is no queue {name}: {meant} (known: {shown or 'none yet'})")
        )
    return told


def undeclared(app: str, declared: Collection[str], known: Sequence[Schedule]) -> list[str]:
    """Return a sentence for each schedule of `app` that its code no longer declares.

    It stays until somebody says otherwise: a worker of an older version may be what starts here.
    """
    return [
        f"schedule {each.name} is not declared by {app} any more and "
        f"{'is paused' if each.paused else f'goes on enqueueing {each.definition.type}'}: "
        f"`tidemill types apply {app} --prune` removes it"
        for each in known
        if each.app == app and each.name not in declared
    ]
