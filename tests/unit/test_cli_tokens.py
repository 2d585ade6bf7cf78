"""`tidemill tokens`: a token is printed once, the file is changed whole and stays private."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tidemill_api.auth.tokens import digest_of
from tidemill_cli.__main__ import run

Captured = pytest.CaptureFixture[str]
USAGE = 2


def made(capsys: Captured, *arguments: str) -> Any:
    """Return what `tidemill tokens new` tells programs."""
    assert run(["tokens", "new", *arguments, "-o", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def entries(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())["tokens"]
    return found


def test_the_token_is_printed_alone_and_only_its_digest_is_kept(
    capsys: Captured, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.json"
    arguments = ["--name", "ci", "--scope", "enqueue", "--queue", "emails", "--rate", "100/s"]
    assert run(["tokens", "new", *arguments, "--expires", "90d", "--file", str(file)]) == 0
    token = capsys.readouterr().out.strip()
    assert token.startswith("tm_")
    assert token not in file.read_text()
    [entry] = entries(file)
    assert entry["sha256"] == digest_of(token).hex()
    assert (entry["name"], entry["queues"], entry["rate"]) == ("ci", ["emails"], "100/s")
    assert entry["expires_at"].endswith("Z")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_more_tokens_are_added_and_the_files_mode_stays(capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    for scope in ("read", "work"):
        made(capsys, "--name", "ci", "--scope", scope, "--file", str(file))
        file.chmod(0o640)
    assert [each["scopes"] for each in entries(file)] == [["read"], ["work"]]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["tokens.json"]


def test_list_and_check_tell_what_is_there_without_digests(
    capsys: Captured, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.json"
    entry = made(capsys, "--name", "ci", "--scope", "admin", "--file", str(file))["entry"]
    assert run(["tokens", "list", "--file", str(file)]) == 0
    told = capsys.readouterr().out
    assert entry["sha256"][:12] in told
    assert entry["sha256"] not in told
    assert run(["tokens", "check", "--file", str(file)]) == 0
    assert "1 token" in capsys.readouterr().out


def test_revoke_takes_out_one_or_all_of_a_name(capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    old, new, other = (
        made(capsys, "--name", name, "--scope", "read", "--file", str(file))["entry"]
        for name in ("ci", "ci", "web")
    )
    revoke = ["tokens", "revoke", "--file", str(file), "--name", "ci"]
    assert run([*revoke, "--sha256", old["sha256"][:12]]) == 0
    assert entries(file) == [new, other]
    assert run(revoke) == 0
    assert entries(file) == [other]
    assert run(revoke) == 1
    assert "no token of name ci" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--name", "a b"], "tokens[0].name"),
        (["--rate", "3/q"], "tokens[0].rate: must be requests per time"),
        (["--queue", "a b"], "tokens[0].queues[0]"),
        (["--expires", "soon"], "minutes, hours or days"),
        (["--scope", "all"], "--scope"),
    ],
)
def test_what_no_api_would_take_is_refused_and_changes_nothing(
    capsys: Captured, tmp_path: Path, arguments: list[str], told: str
) -> None:
    file = tmp_path / "tokens.json"
    asked = ["--name", "ci", "--scope", "read", "--file", str(file), *arguments]
    assert run(["tokens", "new", *asked]) == USAGE
    assert told in capsys.readouterr().err
    assert not file.exists()


def test_a_broken_file_is_told_and_left_alone(capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    file.write_text('{"tokens": [{"name": "ci"}]}')
    for command in (["check"], ["list"], ["new", "--name", "b", "--scope", "read"]):
        assert run(["tokens", *command, "--file", str(file)]) == USAGE
        assert "tokens[0].sha256: is required" in capsys.readouterr().err
    assert file.read_text() == '{"tokens": [{"name": "ci"}]}'


def test_the_configuration_that_is_shown_has_no_tokens(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_TOKENS", '{"tokens": []}')
    for output in ("text", "json"):
        assert run(["config", "-o", output]) == 0
        told = capsys.readouterr().out
        assert "TIDEMILL_TOKENS" in told
        assert '{"tokens"' not in told.replace("\\", "")
