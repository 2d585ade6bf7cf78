"""Naming an app: every form finds it, every mistake says what is wrong."""

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tidemill import App, load_app
from tidemill.errors import ConfigurationError
from tidemill.sdk.reference import canonical
from tidemill_cli.__main__ import Exit, run

Captured = pytest.CaptureFixture[str]
SOURCE = "from tidemill import App\napp = App()\nother = App()\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    known = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for variable in [name for name in os.environ if name.startswith("TIDEMILL_")]:
        monkeypatch.delenv(variable)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith("named_"):
            del sys.modules[name]


@pytest.mark.parametrize(
    "given",
    ["named_a.tasks:app", "named_a.tasks", "named_a/tasks.py", "./named_a/tasks.py:app"],
)
def test_every_form_names_the_same_app(folder: Path, given: str) -> None:
    (folder / "named_a").mkdir()
    (folder / "named_a" / "tasks.py").write_text(SOURCE)
    assert canonical(given) == "named_a.tasks:app"
    assert isinstance(load_app(given), App)


def test_a_package_is_named_by_its_init_file_and_by_a_whole_path(folder: Path) -> None:
    (folder / "named_b").mkdir()
    (folder / "named_b" / "__init__.py").write_text(SOURCE)
    assert canonical("named_b/__init__.py:other") == "named_b:other"
    assert canonical(f"{folder}/named_b/__init__.py") == "named_b:app"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere.py", "there is no file nowhere.py in"),
        ("../outside.py:app", "must be below the current folder"),
        ("two words", "must be given as module:attribute, module or file.py"),
        ("a:b:c", "must be given as module:attribute"),
    ],
)
def test_what_names_no_app_is_refused(folder: Path, given: str, said: str) -> None:
    del folder
    with pytest.raises(ConfigurationError, match=said):
        canonical(given)


def test_a_missing_attribute_names_the_apps_that_are_there(folder: Path) -> None:
    (folder / "named_c.py").write_text(SOURCE)
    with pytest.raises(ConfigurationError, match=r"has no 'apps' \(it has the app app, other\)"):
        load_app("named_c:apps")


@pytest.mark.parametrize("command", [["worker"], ["up"], ["types", "apply"]])
@pytest.mark.parametrize("form", [["named_none"], ["--app", "named_none"]])
def test_commands_take_the_app_as_argument_and_as_option(
    folder: Path, command: list[str], form: list[str], capsys: Captured
) -> None:
    del folder
    assert run([*command, *form]) == Exit.USAGE
    assert "app named_none:app: no module named 'named_none'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["worker"], ["up"], ["types", "apply"]])
def test_the_variable_names_the_app_and_an_argument_goes_before_it(
    folder: Path, command: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder
    monkeypatch.setenv("TIDEMILL_APP", "named_by_variable")
    assert run(command) == Exit.USAGE
    assert "no module named 'named_by_variable'" in capsys.readouterr().err
    assert run([*command, "named_by_argument"]) == Exit.USAGE
    assert "no module named 'named_by_argument'" in capsys.readouterr().err


def test_an_argument_and_an_option_must_not_name_two_apps(folder: Path, capsys: Captured) -> None:
    del folder
    assert run(["worker", "named_d:app", "--app", "named_e"]) == Exit.USAGE
    assert "one app must be given (got named_d:app and --app named_e)" in capsys.readouterr().err


def test_what_the_app_raises_at_import_is_shown_as_its_own_traceback(
    folder: Path, capsys: Captured
) -> None:
    (folder / "named_f.py").write_text("import named_g")
    (folder / "named_g.py").write_text("def deep():\n    import no_such_thing\n\n\ndeep()\n")
    assert run(["worker", "named_f"]) == Exit.USAGE
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):\n")
    assert "named_f.py" in shown
    assert 'named_g.py", line 2, in deep' in shown
    assert "ModuleNotFoundError: No module named 'no_such_thing'" in shown
    assert "importlib" not in shown
    assert "core/tidemill" not in shown
    assert "app named_f:app: importing named_f failed" in shown.splitlines()[-1]
