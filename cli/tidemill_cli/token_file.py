"""The file of the API's tokens, as the command line reads and changes it."""

import fcntl
import json
import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tidemill.errors import ConfigurationError
from tidemill_api.auth.entries import TokenEntry, parsed

PRIVATE: Final = 0o600


def read(path: Path) -> list[TokenEntry]:
    """Return the tokens in the file. Raises ConfigurationError naming the field and rule."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None
    return parsed(data, str(path)).tokens


@contextmanager
def changing(path: Path) -> Generator[list[TokenEntry]]:
    """Yield the file's tokens (none where there is no file); what is in the list then is written.

    Others that change it wait. Readers see the old file or the new one, never a part. Raises
    ConfigurationError.
    """
    place = path.resolve()
    try:
        with _alone(place.parent):
            entries = read(place) if place.exists() else []
            yield entries
            _replace(place, text_of(entries))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None


def json_of(entry: TokenEntry) -> dict[str, Any]:
    """Return the entry as it stands in the file."""
    found: dict[str, Any] = entry.model_dump(mode="json", exclude_none=True)
    return found


def text_of(entries: Sequence[TokenEntry]) -> str:
    """Return the file's text. Raises ConfigurationError for what no API would take."""
    lines = ",\n".join(f"  {json.dumps(json_of(entry))}" for entry in entries)
    text = f'{{"tokens": [\n{lines}\n]}}\n' if entries else '{"tokens": []}\n'
    parsed(text.encode(), "tokens")
    return text


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _replace(place: Path, text: str) -> None:
    """Put `text` into the file at once, readable as it was; a new one only by its owner."""
    mode = place.stat().st_mode & 0o777 if place.exists() else PRIVATE
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(place)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
