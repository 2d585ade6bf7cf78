"""What `promtool check metrics` holds against a text of metrics, and where promtool is, itself."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_UNITS = re.compile(
    r"_(ms|millis|milliseconds|us|micros|minutes|hours|days|kb|mb|kilobytes|percent)(_|$)"
)
_RESERVED = ("_total", "_count", "_sum", "_bucket")
_KINDS = re.compile(r"_(counter|gauge|histogram|summary)(_|$)")


def faults(text: str) -> list[str]:
    """Return what is wrong with metrics in Prometheus' text format. Raises ValueError: all is."""
    return sorted({*_of_heads(text), *_of_families(text), *_of_promtool(text)})


def _of_heads(text: str) -> Iterator[str]:
    for word in ("HELP", "TYPE"):
        named = re.findall(rf"^# {word} (\S+)", text, re.MULTILINE)
        yield from (f"{name}: {word} {n} times" for name, n in Counter(named).items() if n > 1)
    helped = set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE))
    yield from (f"{name}: no help" for name in typed.keys() - helped)
    for name, kind in typed.items():
        if kind == "counter" and not name.endswith("_total"):
            yield f"{name}: a counter ends in _total"
        if kind != "counter" and name.endswith(_RESERVED):
            yield f"{name}: ends as a part of another metric"
        if kind == "untyped":
            yield f"{name}: no type"


def _of_families(text: str) -> Iterator[str]:
    series: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
    for family in text_string_to_metric_families(text):
        if not _NAME.fullmatch(family.name):
            yield f"{family.name}: not in lower case with underscores"
        if _UNITS.search(family.name):
            yield f"{family.name}: not in a base unit"
        if _KINDS.search(family.name):
            yield f"{family.name}: names its type"
        series.update((each.name, frozenset(each.labels.items())) for each in family.samples)
        if family.type == "histogram":
            yield from _of_histogram(family.name, family.samples)
    yield from (f"{name}: a series twice" for (name, _), n in series.items() if n > 1)


def _of_histogram(name: str, samples: list[Sample]) -> Iterator[str]:
    buckets: dict[frozenset[tuple[str, str]], list[Sample]] = {}
    for each in samples:
        if each.name == f"{name}_bucket":
            rest = frozenset((k, v) for k, v in each.labels.items() if k != "le")
            buckets.setdefault(rest, []).append(each)
    for found in buckets.values():
        counts = [each.value for each in found]
        if found[-1].labels["le"] != "+Inf" or counts != sorted(counts):
            yield f"{name}: buckets that do not add up"


def _of_promtool(text: str) -> Iterator[str]:
    program = shutil.which("promtool")
    if program is None:  # Debian has it in the package prometheus
        return
    done = subprocess.run(
        [program, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    yield from (done.stdout + done.stderr).splitlines()
    if done.returncode:
        yield f"promtool: {done.returncode}"
