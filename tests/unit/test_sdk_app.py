"""Declaring task types, and finding an app by its reference."""

import sys
from pathlib import Path

import pytest

from tidemill import App, Context, RetryPolicy, load_app
from tidemill.errors import ConfigurationError
from tidemill.models import NewTask, TaskType


def test_a_bare_decorator_names_the_task_after_the_function() -> None:
    app = App()

    @app.task
    async def send(to: str) -> str:
        """Send something.

        And more about it.
        """
        return to

    assert list(app.tasks) == ["send"]
    assert send.is_async
    assert app.types()[0].description == "Send something."


def test_options_become_the_registered_type() -> None:
    app = App()
    policy = RetryPolicy(policy="fixed", base_seconds=5)

    @app.task(
        name="mail.send",
        queue="emails",
        priority="high",
        max_retries=7,
        timeout_seconds=30,
        retry=policy,
    )
    def send(to: str) -> None:
        del to

    registered = app.types()[0]
    assert registered == TaskType(
        name="mail.send",
        schema=send.codec.schema,
        queue="emails",
        priority=100,
        max_retries=7,
        timeout_seconds=30,
        retry=policy,
    )
    assert not send.is_async


async def test_calling_a_task_calls_its_function() -> None:
    app = App()

    @app.task
    async def double(x: int) -> int:
        return 2 * x

    assert await double(4) == 8


def test_a_new_task_carries_its_payload_and_options() -> None:
    app = App()

    @app.task(queue="slow", max_retries=5)
    async def double(x: int) -> int:
        return 2 * x

    assert double.new(x=4) == NewTask(type="double", payload={"x": 4}, queue="slow", max_retries=5)
    task = double.using(queue="fast", delay_seconds=3).new(x=4)
    assert (task.queue, task.delay_seconds, task.max_retries) == ("fast", 3, 5)


def test_a_name_is_taken_once() -> None:
    app = App()

    @app.task(name="same")
    async def one() -> None: ...

    with pytest.raises(ConfigurationError, match=r"'same' must be unique: .*one"):

        @app.task(name="same")
        async def two() -> None: ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "no spaces"}, "name must match"),
        ({"queue": "-x"}, "queue must match"),
        ({"priority": 40000}, "priority must be -32768 to 32767"),
        ({"priority": "urgent"}, "priority must be a number or one of low, default, high"),
        ({"max_retries": -1}, "max_retries must be 0 to"),
        ({"timeout_seconds": 0}, "timeout_seconds must be above 0"),
    ],
)
def test_defaults_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):

        @App().task(**options)  # type: ignore[call-overload, untyped-decorator] # the values are wrong on purpose
        async def task() -> None: ...


def test_only_functions_that_return_are_tasks() -> None:
    with pytest.raises(ConfigurationError, match="must return, not yield"):

        @App().task
        async def stream():  # type: ignore[no-untyped-def] # noqa: ANN202 - wrong on purpose
            yield 1

    with pytest.raises(ConfigurationError, match="must be a function"):
        App().task(Path)


def test_a_context_is_no_payload_field() -> None:
    app = App()

    @app.task
    async def task(context: Context, x: int) -> None: ...

    assert task.wants_context
    assert list(task.codec.schema["properties"]) == ["x"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_load_app_finds_a_module_in_the_current_folder(folder: Path) -> None:
    (folder / "my_local_app.py").write_text("from tidemill import App\napp = App()\n")
    assert isinstance(load_app("my_local_app:app"), App)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("demo app", "must be given as module:attribute, module or file.py (got 'demo app')"),
        ("tidemill:", "must be given as module:attribute"),
        ("a-b:app", "must be given as module:attribute"),
        ("no_such_module_here:app", "no module named 'no_such_module_here'"),
        ("tidemill.no_such:app", "no module named 'tidemill.no_such'"),
        ("tidemill.errors:app", "tidemill.errors has no 'app'"),
        ("tidemill.errors:Fault", "must be a tidemill.App (got type)"),
    ],
)
def test_a_wrong_reference_is_one_clear_line(reference: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_app(reference)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_that_fails_deep_down_names_the_line(folder: Path) -> None:
    (folder / "shallow.py").write_text("import deep")
    (folder / "deep.py").write_text("\n{}['kaboom']")
    with pytest.raises(ConfigurationError, match=r"KeyError: 'kaboom' \(.*deep\.py, line 2\)"):
        load_app("shallow:app")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_dependency", "importing broken_0 failed: No module named 'no_such_dep"),
        ("1 / 0", "importing broken_1 failed: ZeroDivisionError: division by zero"),
        ("x = (", "importing broken_2 failed: SyntaxError"),
        (
            "from tidemill import App\n@App().task\ndef f(x, /): ...",
            "app broken_3:app: broken_3.f: parameter `x` must be passable by name",
        ),
    ],
)
def test_a_module_that_fails_to_import_says_why(
    folder: Path, source: str, message: str, request: pytest.FixtureRequest
) -> None:
    name = f"broken_{request.node.callspec.indices['source']}"
    (folder / f"{name}.py").write_text(source)
    with pytest.raises(ConfigurationError) as caught:
        load_app(f"{name}:app")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
