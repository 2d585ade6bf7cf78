"""The loop of the API's processes."""

import asyncio
import logging
from importlib.util import find_spec

import pytest

from tidemill_api import loops


async def loop_module() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_the_api_runs_on_uvloop_where_it_is_installed() -> None:
    best = "uvloop" if find_spec("uvloop") else "asyncio"
    assert loops.run(loop_module()).partition(".")[0] == best


def test_without_uvloop_asyncios_loop_serves_and_a_debug_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loops, "UVLOOP", "no_such_package")
    with caplog.at_level(logging.DEBUG, logger="tidemill_api.loops"):
        assert loops.run(loop_module()).startswith("asyncio")
    assert "uvloop is not installed" in caplog.text
