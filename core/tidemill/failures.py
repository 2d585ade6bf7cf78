"""A failed attempt: the error as it is recorded, whoever reports it."""

from typing import Any, Final

from tidemill.redaction import redact

TRACEBACK_CHARACTERS: Final = 4000
MESSAGE_CHARACTERS: Final = 2000


def error_record(kind: str, message: str, traceback: str = "") -> dict[str, Any]:
    """Return an error: type, start of the message, end of the traceback, without secrets."""
    return {
        "type": kind,
        "message": _shown(message[: MESSAGE_CHARACTERS * 2])[:MESSAGE_CHARACTERS],
        "traceback": _shown(traceback[-TRACEBACK_CHARACTERS * 2 :])[-TRACEBACK_CHARACTERS:],
    }


def _shown(text: str) -> str:
    """Return what may be recorded; before the text is cut: half a secret looks like none."""
    return redact(_storable(text))


def _storable(text: str) -> str:
    """Return `text` without what Postgres cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")
