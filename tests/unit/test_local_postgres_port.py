"""The port of the Postgres of `tidemill up`: kept from start to start."""

import socket
from pathlib import Path

import pytest

from tidemill_cli.local.postgres_port import HOST, free_port, kept_port


def test_the_port_of_the_last_start_is_used_again(tmp_path: Path) -> None:
    first = kept_port(tmp_path / "port")
    assert (tmp_path / "port").read_text() == f"{first}\n"
    (tmp_path / "port").write_text(str(other := free_port()))
    assert kept_port(tmp_path / "port") == other


def test_a_port_that_somebody_took_meanwhile_is_replaced_for_good(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        (tmp_path / "port").write_text(str(taken.getsockname()[1]))
        replaced = kept_port(tmp_path / "port")
        assert replaced != taken.getsockname()[1]
    assert (tmp_path / "port").read_text() == f"{replaced}\n"


@pytest.mark.parametrize("text", ["", "x", "-1", "99999999"])
def test_what_is_no_port_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "port").write_text(text)
    assert 0 < kept_port(tmp_path / "port") < 65536
