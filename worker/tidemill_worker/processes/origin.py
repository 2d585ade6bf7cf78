"""How a new process finds the handlers that this one has: by the app's name, or by their modules.

A worker of the command line names its app. An embedded one may not: then the modules that declare
the handlers are imported, and what `app.task` made there is found, or an app that has it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from tidemill.app import App, load_app
from tidemill.errors import ConfigurationError
from tidemill.sdk.definition import TaskDefinition

Definition = TaskDefinition[..., Any]
Origin = dict[str, Any]

MAIN = "__tidemill_main__"
"""The name of the user's main program in a handler process, which must not start it again."""


def origin_of(definitions: Iterable[Definition], app: str) -> Origin:
    """Return where a new process finds `definitions`; `app` may name an app, or be empty.

    Raises ConfigurationError for handlers that no other process can import.
    """
    wanted = list(definitions)
    types = [each.name for each in wanted]
    if app:
        return {"app": app, "types": types}
    modules = {each.function.__module__ for each in wanted}
    main = _main() if "__main__" in modules else None
    return {"modules": sorted(modules - {"__main__"}), "main": main, "types": types}


def find(origin: Origin) -> dict[str, Definition]:
    """Return the handlers by name, in the new process. Raises ConfigurationError."""
    found: dict[str, Definition] = {}
    if "app" in origin:
        found |= load_app(origin["app"]).tasks
        where = f"app {origin['app']}"
    else:
        names = [*origin["modules"], *([origin["main"]] if origin["main"] else [])]
        for name in names:
            found |= _declared(_import(name))
        where = f"what {', '.join(names)} has at module level"
    missing = [each for each in origin["types"] if each not in found]
    if missing:
        raise ConfigurationError(
            f"isolation='process': {where} must include task {missing[0]!r}, because a child "
            "process finds handlers by import"
        )
    return {each: found[each] for each in origin["types"]}


def _main() -> str:
    """Return the main program's module, or its file: it is imported under another name."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    if file is None or not Path(file).is_file():
        raise ConfigurationError(
            "isolation='process': handlers must be in a module that a child process can import "
            "(they are in an interactive session)"
        )
    return str(Path(file).absolute())


def _import(name: str) -> ModuleType:
    try:
        return _from_file(name) if name.endswith(".py") else importlib.import_module(name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigurationError(
            f"isolation='process': importing {name} in a child process failed: {reason}"
        ) from error


def _from_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MAIN, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MAIN] = module
    spec.loader.exec_module(module)
    return module


def _declared(module: ModuleType) -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    for value in list(vars(module).values()):
        if isinstance(value, App):
            found |= value.tasks
        elif isinstance(value, TaskDefinition):
            found[value.name] = value
    return found
