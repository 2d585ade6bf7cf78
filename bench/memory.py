"""The memory of a worker that runs on and on: it must not grow with what it has done."""

from pathlib import Path

from bench import noop
from bench.case import BenchError
from bench.drain import until
from bench.findings import Bar, Finding, number
from bench.measure import Sample
from bench.server import Bed
from bench.subject import Say, Scale, Subject
from bench.target import Target
from bench.workers import working

STEPS = 10
MOST_GROWTH = 1.05
"""At the end, as a multiple of what it was half-way: whatever is kept for use again is there by
then (the largest batches, threads, the allocator's own), so what still grows has leaked."""

MIX = ((noop.TYPE, 0.79), (noop.THREAD, 0.2), (noop.FAILING, 0.01))
"""Shares of the tasks: coroutines, threads, and some that fail for good, with a traceback."""

_MEBIBYTE = 1024 * 1024


class Memory(Subject):
    """One worker works off `many` tasks, and is weighed after each tenth."""

    name = "memory"

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure."""
        tasks = scale.many // STEPS
        weights, samples = list[float](), list[Sample]()
        async with bed.database() as target:
            await target.empty()
            async with working(target, 1) as (pid,):
                for step in range(1, STEPS + 1):
                    samples.append(await _step(target, tasks, pid))
                    weights.append(resident_megabytes(pid))
                    say(f"memory {step * tasks:>9,} tasks: {weights[-1]:.1f} MB")
            await _check(target, tasks * STEPS)
        return [_finding(tasks, samples, weights)]


def resident_megabytes(pid: int) -> float:
    """Return the resident set of a process (Linux only)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / _MEBIBYTE
    raise BenchError(f"process {pid} says nothing of its memory")


async def _step(target: Target, tasks: int, pid: int) -> Sample:
    sample = Sample(tasks)
    await target.pause(paused=True)
    for kind, share in MIX:
        await target.add(round(tasks * share), kind=kind)
    await target.ask("ANALYZE tidemill.ready, tidemill.tasks, tidemill.leases")
    with target.timed(sample, [pid]):
        await target.pause(paused=False)
        await until(target.drained, 0.05)
    return sample


async def _check(target: Target, tasks: int) -> None:
    succeeded, attempts = await target.ended()
    failing = round(tasks / STEPS * MIX[-1][1]) * STEPS
    if (succeeded, attempts) != (tasks - failing, tasks):
        raise BenchError(f"of {tasks} tasks {failing} must fail; {succeeded} of {attempts} did not")


def _finding(tasks: int, samples: list[Sample], weights: list[float]) -> Finding:
    half = weights[STEPS // 2 - 1]
    return Finding(
        name="memory",
        title=f"one worker, {tasks * STEPS:,} tasks: coroutines, 20 % in threads, 1 % failing",
        columns=("tasks/s", "client µs", "RSS MB", "of half-way"),
        rows=[
            _row((place + 1) * tasks, *each, half)
            for place, each in enumerate(zip(samples, weights, strict=True))
        ],
        figures={"step_tasks": tasks, "resident_megabytes": weights},
        bars=[
            Bar(
                f"the worker's memory after {tasks * STEPS:,} tasks as a multiple of half-way",
                weights[-1] / half,
                MOST_GROWTH,
                at_most=True,
            )
        ],
    )


def _row(done: int, sample: Sample, weight: float, half: float) -> list[str]:
    used = None if sample.client_seconds is None else sample.client_seconds / sample.tasks * 1e6
    return [
        f"{done:,}",
        f"{sample.tasks_per_second:,.0f}",
        number(used),
        f"{weight:.1f}",
        f"{weight / half:.3f}",
    ]
