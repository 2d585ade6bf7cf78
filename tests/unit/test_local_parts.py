"""The parts of `tidemill up` that need no Postgres: lines, curl lines, ports, folders."""

import io
import os
import shlex
import socket
from pathlib import Path

import pytest

from tidemill.errors import ConfigurationError
from tidemill.models import TaskType
from tidemill.settings import Settings
from tidemill_cli.local import example, folders, ports
from tidemill_cli.local.child import ending
from tidemill_cli.local.printer import Lines, Printer
from tidemill_cli.local.up import environment


def collected(*chunks: bytes) -> list[str]:
    lines: list[str] = []
    cutter = Lines(lines.append)
    for chunk in chunks:
        cutter.feed(chunk)
    cutter.close()
    return lines


def test_lines_are_whole_whatever_the_chunks() -> None:
    assert collected(b"on", b"e\ntwo\nth", b"ree") == ["one", "two", "three"]
    assert collected(b"x" * 200_000 + b"\ny\n") == ["x" * 200_000, "y"]
    assert collected(b"\xff\n") == ["\ufffd"]


def test_the_example_fills_in_nested_objects() -> None:
    order = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    schema = {
        "properties": {"order": {"$ref": "#/$defs/Order"}},
        "required": ["order"],
        "$defs": {"Order": order},
    }
    assert example.payload(schema) == {"order": {"id": 1}}


def test_a_process_name_stands_before_each_line_and_colour_is_for_terminals() -> None:
    plain = io.StringIO()
    Printer(plain).line("api", "ready\n")
    assert plain.getvalue() == "api       | ready\n"
    coloured = io.StringIO()
    Printer(coloured, coloured=True).line("api", "ready")
    assert coloured.getvalue() == "\x1b[36mapi       |\x1b[0m ready\n"


def test_a_reader_that_went_away_is_told_once_and_breaks_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError(text)

    told: list[str] = []
    printer = Printer(Closed(), on_closed=lambda: told.append("closed"))
    printer.line("api", "one")
    printer.line("api", "two")
    assert told == ["closed"]


def test_the_line_to_try_fits_the_types_schema_and_the_shell() -> None:
    schema = {
        "properties": {
            "to": {"type": "string"},
            "count": {"type": "integer"},
            "kind": {"enum": ["it's"]},
            "maybe": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "left_out": {"type": "string"},
        },
        "required": ["to", "count", "kind", "maybe"],
    }
    line = example.curl("http://127.0.0.1:1", [TaskType(name="mail", schema=schema)])
    body = shlex.split(line)[-1]
    assert body == (
        '{"type": "mail", "payload": {"to": "hello", "count": 1, "kind": "it\'s", "maybe": 1.5}}'
    )
    assert "my_task" in example.curl("http://127.0.0.1:1", [])


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - compared, not bound
        ("::1", "http://[::1]:80"),
        ("db.example", "http://db.example:80"),
    ],
)
def test_the_address_that_this_machine_reaches(host: str, address: str) -> None:
    assert ports.address_of(host, 80) == address


def test_a_taken_port_is_said_and_a_free_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} of 127.0.0.1 cannot be used"):
            ports.ensure_free("127.0.0.1", port)
    ports.ensure_free("127.0.0.1", port)


async def test_nobody_answers_on_a_port_without_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    assert not await ports.answers(f"http://127.0.0.1:{port}")


def test_children_get_every_setting_and_no_secret_on_the_command_line() -> None:
    settings = Settings(database_url="postgresql://me:hidden@db/t", api_port=9999, app="a:b")
    given = environment({"PATH": "/bin", "TIDEMILL_API_PORT": "1"}, settings)
    assert given["TIDEMILL_DATABASE_URL"] == "postgresql://me:hidden@db/t"
    assert given["PATH"] == "/bin"
    assert Settings.load(given).api_port == 9999
    assert Settings.load(given).unknown_types == "reject"
    assert Settings.load(given).log_format == "text"


def test_what_was_asked_for_by_name_holds_for_the_children_too() -> None:
    asked = {"TIDEMILL_UNKNOWN_TYPES": "accept", "TIDEMILL_PROBE_PORT": "8081"}
    given = Settings.load(environment(asked, Settings.load(asked, log_format="json")))
    assert (given.unknown_types, given.log_format) == ("accept", "json")
    assert given.probe_port == 0, "several workers cannot listen on one port"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with exit code 0"),
        (-9, "was killed by SIGKILL"),
        (-99, "was killed by signal 99"),
    ],
)
def test_an_ending_in_words(code: int, words: str) -> None:
    assert ending(code) == words


def test_a_folder_that_was_asked_for_is_taken(tmp_path: Path) -> None:
    assert folders.data_dir(str(tmp_path), {}) == tmp_path
    assert folders.data_dir("~/x", {}) == Path.home() / "x"


def test_the_usual_folder_follows_xdg(open_folder: Path) -> None:
    assert folders.data_dir("", {"XDG_DATA_HOME": str(open_folder)}) == open_folder / "tidemill"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's home can be closed to the server")
def test_root_with_a_closed_home_gets_another_folder(open_folder: Path) -> None:
    open_folder.chmod(0o700)
    found = folders.data_dir("", {"XDG_DATA_HOME": str(open_folder)})
    assert found == Path("/var/lib/tidemill")
