"""examples/: each program is run as its header says, with a worker of its own."""

import importlib
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import examples, ledger
from tidemill.store import Store
from tidemill_worker.testing import run_task

FOLDER = examples.REPOSITORY / "examples"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_header_names_programs_that_exist_and_are_run_here(name: str) -> None:
    header = (FOLDER / f"{name}.py").read_text().split('"""')[1]
    named = set(re.findall(r"examples\.(\w+)", header))
    assert named == {name}
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_examples*.py"))
    assert f"examples.{name}" in tests or name == "demo"  # tests/contract/test_up.py runs it


def test_the_list_has_every_example_and_no_other() -> None:
    linked = set(re.findall(r"\]\(([\w./-]+)\)", (FOLDER / "README.md").read_text()))
    there = {path.name for path in FOLDER.iterdir() if not path.name.startswith("__")}
    assert linked == there - {"README.md"}


async def test_plain_functions(database_url: str, store: Store) -> None:
    with examples.worker(database_url, "examples.plain:app"):
        out = examples.run(
            database_url, "-m", "examples.plain", "to be or not to be", "well well well then"
        )
    assert out.splitlines() == ["6 words, most often 'to'", "4 words, most often 'well'"]
    assert (await ledger.balance(store))["succeeded"] == 2


class Site(BaseHTTPRequestHandler):
    """Answers with as many characters as the path says, or with that status."""

    def do_GET(self) -> None:
        number = int(self.path.strip("/"))
        self.send_response(number if number > 400 else 200)
        self.end_headers()
        self.wfile.write(b"x" * number)

    def log_message(self, *_: object) -> None:
        """Keep still."""


@contextmanager
def site() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_coroutines_that_share_a_session(database_url: str) -> None:
    with site() as url, examples.worker(database_url, "examples.pages:app"):
        out = examples.run(database_url, "-m", "examples.pages", f"{url}/7", f"{url}/300")
    assert sorted(out.splitlines()) == [f"{url}/300: 300 characters", f"{url}/7: 7 characters"]


async def test_what_a_page_that_fails_does() -> None:
    pages = importlib.import_module("examples.pages")
    with site() as url:
        page = await run_task(pages.app, pages.fetch, {"url": f"{url}/7"})
        assert page == pages.Page(f"{url}/7", 7)
        with pytest.raises(pages.Retry) as retried:
            await run_task(pages.app, pages.fetch, {"url": f"{url}/429"})
        assert retried.value.after == 30
        with pytest.raises(pages.Discard, match="is gone"):
            await run_task(pages.app, pages.fetch, {"url": f"{url}/410"})


async def test_the_outbox(database_url: str, store: Store) -> None:
    def outbox(*arguments: str) -> str:
        return examples.run(database_url, "-m", "examples.outbox", *arguments).strip()

    with examples.worker(database_url, "examples.outbox:app"):
        assert outbox("init") == "ready"
        assert outbox("place", "o1", "500") == "5.00 for o1"
        assert outbox("place", "o2", "0") == "refused: an order must cost something"
        assert outbox("place", "o1", "500") == "5.00 for o1"
    assert await store.db.fetchval("SELECT count(*) FROM orders") == 1
    counts = await ledger.balance(store)
    assert (counts["succeeded"], sum(counts.values())) == (1, 1)


async def test_progress_and_cancel(database_url: str, store: Store) -> None:
    with examples.worker(database_url, "examples.progress:app"):
        out = examples.run(database_url, "-m", "examples.progress", "40").splitlines()
        assert out[-1] == "imported 40 rows"
        assert len(out) > 1
        assert all(re.fullmatch(r"\d+ of 40 rows", line) for line in out[:-1])
        out = examples.run(database_url, "-m", "examples.progress", "100000", "--cancel").split()
        assert out[-1] == "cancelled"
    counts = await ledger.balance(store)
    assert (counts["succeeded"], counts["cancelled"]) == (1, 1)


async def test_process_isolation(database_url: str, store: Store) -> None:
    with examples.worker(database_url, "examples.isolation:app"):
        out = examples.run(database_url, "-m", "examples.isolation").splitlines()
    assert [line.partition(":")[0] for line in out] == ["none", "crash", "leak", "hang"]
    none, crash, leak, hang = out
    assert re.fullmatch(r"none: <h1>none</h1> by process \d+", none)
    assert "exit code 3" in crash
    assert "max_memory_mb=200" in leak
    assert "timeout of 5 s" in hang
    assert (await ledger.balance(store))["failed"] == 3
