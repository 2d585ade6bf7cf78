"""How an app is named: `module:attribute`, `module`, or the path of its file."""

import importlib
import sys
from pathlib import Path
from traceback import extract_tb, format_exception_only, format_list
from types import ModuleType
from typing import Final

from tidemill.errors import ConfigurationError, TidemillError

ATTRIBUTE: Final = "app"
"""What is looked for where a name says only the module."""

_OURS: Final = Path(__file__).parent.parent


def canonical(reference: str) -> str:
    """Return `reference` as `module:attribute`, which registrations carry as their owner.

    `tasks`, `tasks.py` and `./tasks.py` are `tasks:app`; a path is of the current folder.
    Raises ConfigurationError for what is none of these.
    """
    module, colon, attribute = reference.partition(":")
    if module.endswith(".py"):
        module = _module_of(module, reference)
    attribute = attribute if colon else ATTRIBUTE
    if not (_dotted(module) and _dotted(attribute)):
        raise ConfigurationError(
            f"an app must be given as module:attribute, module or file.py (got {reference!r})"
        )
    return f"{module}:{attribute}"


def imported(name: str, reference: str) -> ModuleType:
    """Import the module `name` of the app `reference`, looked for in the current folder first.

    Raises ConfigurationError; what the module itself raised is its cause and, where it is not an
    error of ours, the user's part of its traceback is a note.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"app {reference}: no module named {error.name!r} (looked in {here} and sys.path)"
            ) from None
        raise _failed(
            reference, f"importing {name} failed: {error}{_where(error)}", error
        ) from error
    except TidemillError as error:  # it says all by itself, but for the line
        raise ConfigurationError(f"app {reference}: {error}{_where(error)}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise _failed(
            reference, f"importing {name} failed: {reason}{_where(error)}", error
        ) from error


def _failed(reference: str, why: str, cause: Exception) -> ConfigurationError:
    error = ConfigurationError(f"app {reference}: {why}")
    error.add_note(_told(cause))
    return error


def _where(error: BaseException) -> str:
    """Return the line of the user's that raised, for messages."""
    frames = [each for each in extract_tb(error.__traceback__) if not _is_ours(each.filename)]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _told(error: BaseException) -> str:
    """Return the traceback of `error` without our frames and those of the import system."""
    frames = [each for each in extract_tb(error.__traceback__) if not _is_ours(each.filename)]
    lines = [*format_list(frames), *format_exception_only(error)]
    return "Traceback (most recent call last):\n" + "".join(lines).rstrip()


def _module_of(path: str, reference: str) -> str:
    here = Path.cwd().resolve()
    file = (here / path).resolve()
    if not file.is_relative_to(here):
        raise ConfigurationError(f"app {reference}: {path} must be below the current folder {here}")
    if not file.is_file():
        raise ConfigurationError(f"app {reference}: there is no file {path} in {here}")
    inside = file.relative_to(here).with_suffix("")
    return ".".join(inside.parent.parts if inside.name == "__init__" else inside.parts)


def _is_ours(filename: str) -> bool:
    return "importlib" in filename or Path(filename).is_relative_to(_OURS)


def _dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
