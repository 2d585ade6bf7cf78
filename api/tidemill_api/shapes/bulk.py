"""What an act by filter did, as JSON."""

from typing import Any

from tidemill.acts import Bulk


def bulk_json(bulk: Bulk) -> dict[str, Any]:
    """Return the counts, and where to go on."""
    return {
        "matched": bulk.matched,
        "changed": bulk.changed,
        "requested": bulk.requested,
        "refused": bulk.refused,
        "key_taken": bulk.key_taken,
        "missing": bulk.missing,
        "next": bulk.next,
    }
