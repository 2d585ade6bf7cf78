"""Why the operator cannot do what a TaskQueue asks for: reasons of its condition Ready."""

from dataclasses import dataclass

from tidemill.errors import TidemillError


@dataclass(frozen=True, slots=True)
class Problem:
    """`reason` is one word for machines, `message` a sentence for people."""

    reason: str
    message: str


class CannotAct(TidemillError):
    """Raised where acting for one TaskQueue ends; carries the problem."""

    def __init__(self, reason: str, message: str) -> None:
        """Keep reason and message."""
        super().__init__(message)
        self.problem = Problem(reason, message)


DATABASE_SECRET_MISSING = "DatabaseSecretMissing"  # noqa: S105  a reason, no password
DUPLICATE_QUEUE = "DuplicateQueue"
DUPLICATE_TARGET = "DuplicateTarget"
TARGET_NOT_FOUND = "TargetNotFound"
TARGET_UNSUPPORTED = "TargetUnsupported"
NAME_TAKEN = "NameTaken"
IMAGE_MISSING = "ImageMissing"
APP_MISSING = "AppMissing"
REFUSED = "RefusedByKubernetes"
FORBIDDEN = "Forbidden"
