from __future__ import annotations

import pytest

from testbed import arguments
from testbed.cli import COMMANDS


@pytest.mark.parametrize(
    ("argv", "own", "passed"),
    [
        (["kubectl", "get", "-o", "wide"], ["kubectl"], ["get", "-o", "wide"]),
        (["--state", "/s", "helm", "--help"], ["--state", "/s", "helm"], ["--help"]),
        (["--state=/s", "helm3", "ls"], ["--state=/s", "helm3"], ["ls"]),
        (["--state", "kubectl", "up"], ["--state", "kubectl", "up"], []),
        (["build", ".", "kubectl"], ["build", ".", "kubectl"], []),
        ([], [], []),
    ],
)
def test_arguments_of_another_program_are_left_alone(
    argv: list[str], own: list[str], passed: list[str]
) -> None:
    assert arguments.split(argv) == (own, passed)


def test_state_is_taken_before_and_after_the_command() -> None:
    before = arguments.parser().parse_args(["--state", "/s", "up"])
    after = arguments.parser().parse_args(["up", "--state", "/s"])

    assert before.state == after.state == "/s"
    assert not hasattr(arguments.parser().parse_args(["up"]), "state")


def test_every_command_that_can_be_typed_is_there() -> None:
    helped = arguments.parser().format_help()

    assert all(f"    {name}" in helped for name in COMMANDS)


def test_build_arguments_can_be_repeated() -> None:
    given = arguments.parser().parse_args(
        ["build", ".", "localhost/x:1", "--build-arg", "A=1", "--build-arg", "B=2", "-f", "D"]
    )

    assert (given.build_arg, given.file, given.archive) == (["A=1", "B=2"], "D", None)


@pytest.mark.parametrize("argv", [["up", "--hpa-sync-seconds", "0"], ["which", "docker"], []])
def test_wrong_usage_ends_with_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        arguments.parser().parse_args(argv)

    assert caught.value.code == 2
    assert "usage: python3 -m testbed" in capsys.readouterr().err
