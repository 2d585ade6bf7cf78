"""Arrival batching: alone at low load, together at high load, nobody forgotten."""

import asyncio
from collections.abc import Sequence

import pytest

from tidemill.batching import Batcher
from tidemill.errors import Overloaded


class Flush:
    """A flush that doubles, once `go` is set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.flying = self.most_flying = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, batch: list[int]) -> Sequence[int | BaseException]:
        self.batches.append(batch)
        self.flying += 1
        self.most_flying = max(self.flying, self.most_flying)
        await asyncio.sleep(0)
        await self.go.wait()
        self.flying -= 1
        return [ValueError(item) if item < 0 else 2 * item for item in batch]


async def test_an_item_alone_goes_at_once() -> None:
    flush = Flush()
    batcher = Batcher(flush)
    assert await batcher.submit(1) == 2
    assert await batcher.submit(2) == 4
    assert flush.batches == [[1], [2]]


async def test_what_waits_goes_together_and_in_order() -> None:
    flush = Flush()
    flush.go.clear()
    batcher = Batcher(flush, most=3)
    asked = [asyncio.create_task(batcher.submit(n)) for n in range(8)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    flush.go.set()
    assert await asyncio.gather(*asked) == [2 * n for n in range(8)]
    assert [item for batch in flush.batches for item in batch] == list(range(8))
    assert max(map(len, flush.batches)) == 3
    assert flush.most_flying == 1


async def test_lanes_bound_the_flushes_at_a_time() -> None:
    flush = Flush()
    batcher = Batcher(flush, most=1, lanes=2)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(6))) == [0, 2, 4, 6, 8, 10]
    assert flush.most_flying == 2


async def test_each_item_gets_its_own_answer_or_error() -> None:
    batcher = Batcher(Flush())
    answers = await asyncio.gather(*(batcher.submit(n) for n in (1, -1, 2)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["2", "-1", "4"]


async def test_an_error_of_the_flush_is_everybodys() -> None:
    async def fail(_: list[int]) -> list[int]:
        raise OSError("away")

    batcher = Batcher(fail)
    answers = await asyncio.gather(*(batcher.submit(n) for n in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["away"] * 3
    with pytest.raises(OSError, match="away"):
        await batcher.submit(9)


@pytest.mark.parametrize("answers", [[], [1, 2, 3]])
async def test_a_flush_that_answers_too_few_or_too_many_forgets_nobody(answers: list[int]) -> None:
    async def odd(_: list[int]) -> list[int]:
        return answers

    batcher = Batcher(odd)
    told = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert all(isinstance(each, RuntimeError) for each in told)


async def test_an_asker_who_left_does_not_spoil_the_batch() -> None:
    flush = Flush()
    flush.go.clear()
    batcher = Batcher(flush)
    asked = [asyncio.create_task(batcher.submit(n)) for n in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked[0].cancel()
    asked[2].cancel()
    await asyncio.sleep(0)
    flush.go.set()
    assert await asked[1] == 2
    await batcher.close()


async def test_too_much_waiting_is_refused() -> None:
    flush = Flush()
    flush.go.clear()
    batcher = Batcher(flush, most=1, most_waiting=2)
    asked = [asyncio.create_task(batcher.submit(0))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked += [asyncio.create_task(batcher.submit(n)) for n in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 requests are waiting"):
        await batcher.submit(3)
    flush.go.set()
    assert await asyncio.gather(*asked) == [0, 2, 4]
    assert await batcher.submit(3) == 6


async def test_close_waits_for_all_that_was_submitted() -> None:
    flush = Flush()
    batcher = Batcher(flush, most=2)
    asked = [asyncio.create_task(batcher.submit(n)) for n in range(5)]
    await asyncio.sleep(0)
    await batcher.close()
    assert [await each for each in asked] == [0, 2, 4, 6, 8]
    await batcher.close()
