"""pgbench: a client in C that runs a script and does nothing else."""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from bench.case import BenchError
from bench.measure import Sample
from bench.scripts import Script
from bench.target import Target
from tidemill.address import connect_options
from tidemill.settings import Settings

_TPS = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)", re.MULTILINE)
_DONE = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)
_CLAIM = re.compile(r"^\s*([0-9.]+)\s+\d+\s+WITH worker\b", re.MULTILINE)

_ESCAPES = str.maketrans({" ": "\\ ", "\\": "\\\\"})


async def run(
    target: Target, sample: Sample, script: Script, *, connections: int, transactions: int
) -> None:
    """Run `script` so often in all, over so many connections; note the time in `sample`.

    `transactions` must be a multiple of `connections`. Raises BenchError with pgbench's words.
    """
    each = [f"--client={connections}", f"--transactions={transactions // connections}"]
    async with _program(target, script, each) as program:
        with target.timed(sample):
            output = await _output(target, program)
    sample.seconds = seconds_of(output, transactions)


async def run_for(
    target: Target, sample: Sample, script: Script, *, connections: int, seconds: int
) -> None:
    """Run `script` for so long, over so many connections; note time and tasks in `sample`."""
    each = [f"--client={connections}", f"--time={seconds}"]
    async with _program(target, script, each) as program:
        with target.timed(sample):
            output = await _output(target, program)
    transactions = done(output)
    sample.seconds = seconds_of(output, transactions)
    sample.tasks = transactions * script.batch


async def claim_milliseconds(target: Target, script: Script, transactions: int) -> float:
    """Run `script` so often on one connection; return the mean time of its claim."""
    each = ["--report-per-command", f"--transactions={transactions}"]
    async with _program(target, script, each) as program:
        return claim_of(await _output(target, program))


async def latencies(target: Target, script: Script, transactions: int) -> list[float]:
    """Run `script` so often on one connection; return the milliseconds of each run."""
    with tempfile.TemporaryDirectory() as folder:
        each = ["--log", f"--log-prefix={folder}/log", f"--transactions={transactions}"]
        async with _program(target, script, each) as program:
            await _output(target, program)
        return latencies_of(_only_file(folder))


def done(output: str) -> int:
    """Return how many transactions were done. Raises BenchError for none."""
    found = _DONE.search(output)
    if found is None or int(found[1]) == 0:
        raise BenchError(f"pgbench did nothing:\n{output}")
    return int(found[1])


def seconds_of(output: str, transactions: int) -> float:
    """Return how long the transactions took, connecting left out. Raises BenchError."""
    rate = _TPS.search(output)
    if rate is None or done(output) != transactions:
        raise BenchError(f"pgbench did not do its {transactions} transactions:\n{output}")
    return transactions / float(rate[1])


def claim_of(output: str) -> float:
    """Return the milliseconds of the claim, of a report by command. Raises BenchError."""
    found = _CLAIM.search(output)
    if found is None:
        raise BenchError(f"pgbench reports no claim:\n{output}")
    return float(found[1])


def latencies_of(log: str) -> list[float]:
    """Return the milliseconds of each transaction of a log (client, number, microseconds, ...)."""
    return [int(line.split()[2]) / 1000 for line in log.splitlines()]


def options(settings: Mapping[str, str]) -> str:
    """Return server settings as PGOPTIONS takes them: a space within a value is escaped."""
    return " ".join(f"-c {name}={value.translate(_ESCAPES)}" for name, value in settings.items())


@asynccontextmanager
async def _program(
    target: Target, script: Script, arguments: Sequence[str]
) -> AsyncGenerator[list[str]]:
    """Yield pgbench's command line, while its script exists."""
    variables = {**script.variables, "ready": 0}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.sql"
        file.write_text(script.text)
        yield [
            target.pgbench,
            *("--no-vacuum", "--protocol=prepared", "--jobs=2", f"--file={file}"),
            *arguments,
            *(f"-D{name}={value}" for name, value in variables.items()),
        ]


def _only_file(folder: str) -> str:
    (file,) = Path(folder).iterdir()
    return file.read_text()


async def _output(target: Target, program: list[str]) -> str:
    url = urlsplit(target.url)
    bare = url._replace(netloc=f"{url.username}@{url.hostname}:{url.port or 5432}")
    process = await asyncio.create_subprocess_exec(
        *program,
        urlunsplit(bare),
        env=_environment(target.settings, unquote(url.password or "")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise BenchError(f"pgbench failed:\n{output.decode()}")
    return output.decode()


def _environment(settings: Settings, password: str) -> dict[str, str]:
    """Return an environment in which the sessions have the same settings as Tidemill's."""
    server = connect_options(settings, application="bench")["server_settings"]
    return {**os.environ, "PGPASSWORD": password, "PGOPTIONS": options(server)}
