"""`tidemill simulate`: a load through the operator's decision, beside an HPA and KEDA."""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import click
from click.core import ParameterSource

from tidemill_cli.simulating import task_queue
from tidemill_cli.simulating.shapes import SHAPES, Shape
from tidemill_operator.policy import Policy, StepLimits
from tidemill_operator.simulation import trace
from tidemill_operator.simulation.loads import Arrival
from tidemill_operator.simulation.model import Place
from tidemill_operator.simulation.play import Played, play
from tidemill_operator.simulation.report import Figures, text
from tidemill_operator.simulation.standard import Contender, contenders

SLACK_SECONDS = 3600.0
"""How long after all tasks could have run one after the other a run is given up."""


AT_LEAST_ONE = click.IntRange(min=1)
ABOVE_ZERO = click.FloatRange(min=0, min_open=True)
FROM_ZERO = click.FloatRange(min=0)
OF_A_SHAPE = ("shape", "tasks", "per_second", "run_seconds", "duration_seconds", "every_seconds")
SPAN = click.FloatRange(min=0, max=trace.MOST_SECONDS)


def _read_file(ctx: click.Context, param: click.Parameter, file: TextIO | None) -> None:
    """Let a TaskQueue's file say what options are where they are not given."""
    if file is None:
        return
    try:
        found = task_queue.read(file)
    except ValueError as error:
        raise click.BadParameter(f"{file.name}: {error}", ctx=ctx, param=param) from None
    ctx.default_map = found.options
    for note in found.notes:
        click.echo(f"{file.name}: {note}", err=True)


@click.command(
    name="simulate",
    epilog="""\b
Loads:
  spike      --tasks at once
  cron       --tasks at once every --every-seconds
  steady     --per-second, at random
  noise      the same, but rate and run time change by up to a fifth
  sawtooth   from nothing to --per-second in --every-seconds, again and again
\b
Examples:
  tidemill simulate                                        100 tasks of 2 s, all at once
  tidemill simulate --load steady --per-second 20 --run-seconds 0.5 --concurrency 4
  tidemill simulate --load cron --tasks 600 --target-wait-seconds 20 --max-replicas 50 --timeline
  tidemill simulate --trace tasks.csv --plot waits.svg     at_seconds,run_seconds[,count]
  tidemill simulate --file taskqueue.yaml --idle-seconds 90
  kubectl get tq mail -o yaml | tidemill simulate --file - --load cron
  tidemill simulate -o json | jq '.scalers[] | {scaler, wait_p99_seconds, replica_seconds}'
""",
)
@click.option(
    "--load", "shape", type=click.Choice(list(SHAPES)), default="spike", show_default=True,
    help="The shape of the load.",
)  # fmt: skip
@click.option("--trace", "file", type=click.File(), help="A load from a CSV file; - is stdin.")
@click.option("--tasks", type=AT_LEAST_ONE, default=100, show_default=True, help="Tasks at once.")
@click.option(
    "--per-second", type=ABOVE_ZERO, default=2.0, show_default=True, help="Tasks a second."
)
@click.option(
    "--run-seconds", type=SPAN, default=2.0, show_default=True, help="How long a task runs."
)
@click.option(
    "--duration-seconds", type=SPAN, default=1800.0, show_default=True,
    help="How long tasks come.",
)  # fmt: skip
@click.option(
    "--every-seconds", type=ABOVE_ZERO, default=300.0, show_default=True,
    help="The period of cron and sawtooth.",
)  # fmt: skip
@click.option(
    "--file", "task_queue", type=click.File(), callback=_read_file,
    is_eager=True, expose_value=False,
    help="A TaskQueue's YAML; - is stdin. Options given beside it win.",
)  # fmt: skip
@click.option(
    "--start-seconds", type=FROM_ZERO, default=4.0, show_default=True,
    help="From asking for a worker to its being ready.",
)  # fmt: skip
@click.option(
    "--concurrency", "slots", type=AT_LEAST_ONE, default=1, show_default=True,
    help="spec.worker.concurrency: tasks that a worker runs at once.",
)  # fmt: skip
@click.option(
    "--drain-seconds", "drain", type=FROM_ZERO, default=30.0, show_default=True,
    help="spec.worker.drainSeconds: what a worker that must go gets to finish.",
)  # fmt: skip
@click.option("--min-replicas", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--max-replicas", type=AT_LEAST_ONE, default=10, show_default=True)
@click.option("--tasks-per-replica", type=AT_LEAST_ONE, default=5, show_default=True)
@click.option("--target-wait-seconds", type=ABOVE_ZERO, default=None, help="[default: unset]")
@click.option("--idle-seconds", type=FROM_ZERO, default=30.0, show_default=True)
@click.option(
    "--scale-down-window-seconds", type=FROM_ZERO, default=60.0, show_default=True,
    help="spec.scaling.scaleDown.stabilizationWindowSeconds.",
)  # fmt: skip
@click.option(
    "--scale-up-window-seconds", type=FROM_ZERO, default=0.0, show_default=True,
    help="spec.scaling.scaleUp.stabilizationWindowSeconds.",
)  # fmt: skip
@click.option(
    "--scale-down-max-step", type=AT_LEAST_ONE, default=None,
    help="spec.scaling.scaleDown.maxStep.  [default: unset]",
)  # fmt: skip
@click.option(
    "--scale-up-max-step", type=AT_LEAST_ONE, default=None,
    help="spec.scaling.scaleUp.maxStep.  [default: unset]",
)  # fmt: skip
@click.option("--protect-busy/--no-protect-busy", default=True, show_default=True)
@click.option(
    "--wait-goal-seconds", type=FROM_ZERO, default=10.0, show_default=True,
    help="A task that starts within this counts as in time.",
)  # fmt: skip
@click.option("--alone", is_flag=True, help="Without the HPA and KEDA beside.")
@click.option(
    "--runs", type=AT_LEAST_ONE, default=3, show_default=True,
    help="Runs of each scaler; polls begin at another moment in each.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same run.")
@click.option("--timeline", is_flag=True, help="Each decision of ours with its reason too.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw replicas and waiting tasks: FILE.png or FILE.svg. Needs tidemill[plot].",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True,
    help="How to print it: for people or for programs.",
)  # fmt: skip
def command(**given: Any) -> None:
    """Play a load through the operator's decision, beside models of an HPA and of KEDA.

    Nothing is started and no database is needed. Options of the policy have the names of
    spec.scaling. docs/simulation.md says what is played and what it was held beside.
    """
    _check_plot(given["plot"])
    policy, place, load = _policy(given), _place(given), _load(given)
    chosen = contenders(policy)[: 1 if given["alone"] else None]
    played = [(each.name, _runs(each, load, place, given)) for each in chosen]
    figures = [
        Figures.of(name, runs, slo_seconds=given["wait_goal_seconds"]) for name, runs in played
    ]
    if given["output"] == "json":
        click.echo(json.dumps(_as_json(figures, played[0][1][0], given), indent=2))
    else:
        click.echo("\n".join(_as_text(figures, played[0][1][0], given)))
    if given["plot"]:
        _plot([(name, runs[0]) for name, runs in played], given["plot"], _title(load))


def _policy(given: Mapping[str, Any]) -> Policy:
    if given["min_replicas"] > given["max_replicas"]:
        most = given["max_replicas"]
        message = f"must be at most --max-replicas {most} (got {given['min_replicas']})"
        raise click.BadParameter(message, param_hint="--min-replicas")
    return Policy(
        min_replicas=given["min_replicas"],
        max_replicas=given["max_replicas"],
        tasks_per_replica=given["tasks_per_replica"],
        target_wait_seconds=given["target_wait_seconds"],
        slots=given["slots"],
        idle_seconds=given["idle_seconds"],
        up=_limits(given, "scale_up"),
        down=_limits(given, "scale_down"),
        protect_busy=given["protect_busy"],
    )


def _limits(given: Mapping[str, Any], way: str) -> StepLimits:
    return StepLimits(
        window_seconds=given[f"{way}_window_seconds"], max_step=given[f"{way}_max_step"]
    )


def _place(given: Mapping[str, Any]) -> Place:
    return Place(
        start_seconds=given["start_seconds"],
        slots=given["slots"],
        drain_seconds=given["drain"],
    )


def _load(given: Mapping[str, Any]) -> list[Arrival]:
    file: TextIO | None = given["file"]
    if file is not None:
        _nothing_beside(click.get_current_context())
        try:
            return trace.read(file)
        except ValueError as error:
            raise click.BadParameter(f"{file.name}: {error}", param_hint="--trace") from None
    shape = Shape(
        tasks=given["tasks"],
        per_second=given["per_second"],
        run=given["run_seconds"],
        lasts=given["duration_seconds"],
        every=given["every_seconds"],
        seed=given["seed"],
    )
    expected = shape.expected(given["shape"])
    if expected > trace.MOST_TASKS:
        message = f"the load must have 1 to {trace.MOST_TASKS} tasks (got some {expected:.0f})"
        raise click.UsageError(message)
    found = SHAPES[given["shape"]](shape)
    if not found:
        message = "the load must have 1 task at least (got none: more --per-second, or longer)"
        raise click.UsageError(message)
    return found


def _nothing_beside(ctx: click.Context) -> None:
    """Refuse what shapes a synthetic load beside a trace."""
    for param in ctx.command.params:
        given = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if given and param.name in OF_A_SHAPE:
            message = f"--trace has tasks of its own: not with {param.opts[0]}"
            raise click.UsageError(message)


def _runs(
    each: Contender, load: Sequence[Arrival], place: Place, given: Mapping[str, Any]
) -> list[Played]:
    one_by_one = sum(task.run_seconds for task in load)
    return [
        play(
            load,
            each.make(seed),
            place=place,
            replicas=each.replicas,
            most_seconds=load[-1].at + one_by_one + SLACK_SECONDS,
            seed=seed,
        )
        for seed in range(given["seed"], given["seed"] + given["runs"])
    ]


def _title(load: Sequence[Arrival]) -> str:
    mean = sum(task.run_seconds for task in load) / len(load)
    tasks = "1 task" if len(load) == 1 else f"{len(load)} tasks"
    return f"{tasks} of {mean:.3g} s within {load[-1].at:.0f} s"


def _as_text(figures: Sequence[Figures], ours: Played, given: Mapping[str, Any]) -> Iterator[str]:
    yield from text(figures)
    for each in figures:
        if each.unfinished:
            yield f"{each.scaler}: {each.unfinished} tasks were left when it was given up"
    if given["timeline"]:
        yield ""
        for change in ours.changes:
            yield f"{change.at:9.1f} s  {change.replicas:4}  {change.reason}".rstrip()


def _as_json(figures: Sequence[Figures], ours: Played, given: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"scalers": [each.as_json() for each in figures]}
    if given["timeline"]:
        told["timeline"] = [
            {"at_seconds": round(each.at, 3), "replicas": each.replicas, "reason": each.reason}
            for each in ours.changes
        ]
    return told


def _check_plot(to: Path | None) -> None:
    if to is None:
        return
    if to.suffix not in {".png", ".svg", ".pdf"}:
        message = f"must end in .png, .svg or .pdf (got {to.name})"
        raise click.BadParameter(message, param_hint="--plot")
    if find_spec("matplotlib") is None:
        message = "--plot needs matplotlib: pip install 'tidemill[plot]'"
        raise click.UsageError(message)


def _plot(rows: Sequence[tuple[str, Played]], to: Path, title: str) -> None:
    from tidemill_operator.simulation.plot import draw  # noqa: PLC0415 - an extra, and slow

    try:
        draw(rows, to, title=title)
    except OSError as error:
        message = f"{to} could not be written: {error.strerror}"
        raise click.ClickException(message) from error
    click.echo(f"drawn: {to}", err=True)
