"""Render the chart with a real Helm, and find objects in what comes out."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from testbed.binaries import PROGRAMS, ensure
from testbed.paths import Cache

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "tidemill"
KUBERNETES = "1.34.4"
NAMESPACE = "team"

Manifest = dict[str, Any]


class RefusedError(Exception):
    """Helm refused the values; the text is what it said."""


@dataclass(frozen=True)
class Chart:
    """The chart as one Helm program renders it."""

    helm: str

    def render(self, release: str = "tidemill", /, **values: Any) -> list[Manifest]:
        """Return the objects for `values` (dots in names as double underscores).

        Raises:
            RefusedError: Helm refused.
        """
        text = self._run(
            "template", release, str(CHART), "--namespace", NAMESPACE,
            "--kube-version", KUBERNETES, "--include-crds", *_flags(values),
        )  # fmt: skip
        return [each for each in yaml.safe_load_all(text) if each is not None]

    def lint(self, **values: Any) -> None:
        """Raise RefusedError unless `helm lint --strict` is content."""
        self._run("lint", "--strict", str(CHART), "--kube-version", KUBERNETES, *_flags(values))

    def _run(self, *arguments: str) -> str:
        code, text = _output(self.helm, *arguments)
        if code != 0:
            raise RefusedError(text)
        return text


@cache
def _output(*argv: str) -> tuple[int, str]:
    """Return exit code and output; many tests ask for the same rendering."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr


@cache
def find_helm(name: str) -> str | None:
    """Return the path of `helm` or `helm3`; in CI one is built where none is found."""
    in_path = shutil.which(name)
    if in_path:
        return in_path
    builds = Cache.of(os.environ)
    built = PROGRAMS[name].path(builds)
    if built.exists():
        return str(built)
    if os.environ.get("CI") == "true":
        return str(ensure(PROGRAMS[name], builds, print))
    return None


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """Return the only object of that kind and name."""
    found = [m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{len(found)} of {kind}/{name} in {names(manifests)}"
    return found[0]


def names(manifests: list[Manifest]) -> list[str]:
    """Return `Kind/name` of each object."""
    return [f"{m['kind']}/{m['metadata']['name']}" for m in manifests]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yield `Kind/name` and pod template of each object that has one."""
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "StatefulSet", "Job"}:
            where = f"{manifest['kind']}/{manifest['metadata']['name']}"
            yield where, manifest["spec"]["template"]


def containers(pod: Manifest) -> list[Manifest]:
    """Return all containers of a pod template."""
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def variables(container: Manifest) -> dict[str, Any]:
    """Return a container's environment: values, or where they come from."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def decoded(secret: Manifest) -> dict[str, str]:
    """Return what a Secret holds."""
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def _flags(values: dict[str, Any]) -> list[str]:
    return [
        part
        for name, value in values.items()
        for part in ("--set-json", f"{name.replace('__', '.')}={json.dumps(value)}")
    ]
