"""The benchmark's HTTP client and what it makes of the answers. Nothing is timed."""

import asyncio

import pytest

from bench import http_load
from bench.http_figures import Run, Series
from bench.http_load import LoadError, Work

CREATED = b"HTTP/1.1 201 Created\r\nX: y\r\ncontent-length: 2\r\n\r\n{}"
SECONDS = 60.0


def work(requests: int) -> Work:
    return Work(http_load.rendered("/p", "application/json", b"{}"), requests, b"201", [])


async def load(answer: bytes, requests: int, connections: int) -> list[float]:
    """Load a server that gives `answer` to whatever comes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65536):
                writer.write(answer)
        except ConnectionError:
            pass  # the client cuts its connections at the end
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        seconds, times = await http_load.load(
            "127.0.0.1", port, work(requests), connections, SECONDS
        )
        assert seconds > 0
        return times


def test_a_request_is_rendered_with_its_length() -> None:
    assert http_load.rendered("/p", "text/plain", b"body").endswith(
        b"Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody"
    )


def test_the_size_of_an_answer_is_known_once_its_head_is_whole() -> None:
    assert http_load.size_of(CREATED[:30]) is None
    assert http_load.size_of(CREATED[:-2]) == len(CREATED)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (CREATED.replace(b"201", b"503"), "201 must be the status"),
        (CREATED + b"more", "more came"),
        (b"HTTP/1.1 201 Created\r\n\r\n", "without a length"),
    ],
)
async def test_an_answer_of_another_kind_gives_no_figure(answer: bytes, said: str) -> None:
    with pytest.raises(LoadError, match=said):
        await load(answer, 1, 1)


async def test_each_request_is_sent_once_over_all_connections() -> None:
    assert len(await load(CREATED, 50, 4)) == 50


def test_a_series_is_a_share_of_its_limit_round_by_round() -> None:
    limit = Series("limit", 1, [Run(100, 1.0, [0.001], 0.1), Run(100, 2.0, [0.001], 0.1)])
    mine = Series("mine", 1, [Run(100, 2.0, [0.002], 0.2), Run(100, 2.0, [0.004], 0.4)])
    assert mine.ratios(limit) == [0.5, 1.0]
    assert mine.row(limit) == ["mine", "50", "50", "2.00", "4.00", "3,000.0", "0.75 (0.50 - 1.00)"]


def test_a_series_of_batches_counts_its_tasks_too() -> None:
    row = Series("batches", 1000, [Run(10, 1.0, [0.1], None)]).row(None)
    assert row == ["batches", "10", "10,000", "100.00", "100.00", "-", "a limit"]
