"""What tables of routes share."""

from typing import Final

from tidemill_api.encoding import JSON
from tidemill_api.endpoints import Parameter

TASK_ID: Final = Parameter("id", "path", "the task's id", {"type": "string", "format": "uuid"})
BODY: Final = (400, 408, 413, 415)
"""The error statuses of every route that takes a body."""

NO_BODY: Final = (400, 408, 413)
"""The error statuses of every act that takes none."""

__all__ = ["BODY", "JSON", "NO_BODY", "TASK_ID"]
