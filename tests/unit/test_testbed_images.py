from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from testbed.errors import PrerequisiteError, UsageError
from testbed.images import archive, build, postgres, python


@pytest.fixture
def image(tmp_path: Path) -> Path:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    layer = tmp_path / "layer.tar"
    with archive.Layer(layer) as content:
        content.folder("/tmp", mode=0o1777)  # noqa: S108 - in the image
        content.file("/usr/bin/program", program)
        content.link("/bin/program", "../usr/bin/program")
        content.content("/etc/name", b"x\n")
        content.content("/etc/name", b"the first one stays\n")
    target = tmp_path / "out" / "image.tar"
    archive.write(target, "localhost/x:1", layer, {"Entrypoint": ["/usr/bin/program"]})
    return target


def read(tar: tarfile.TarFile, name: str) -> bytes:
    content = tar.extractfile(name)
    assert content is not None
    return content.read()


def test_the_parts_of_an_archive_name_each_other_by_digest(image: Path) -> None:
    with tarfile.open(image) as tar:
        manifest = json.loads(read(tar, "manifest.json"))[0]
        config = read(tar, manifest["Config"])
        layer = read(tar, manifest["Layers"][0])

    assert manifest["RepoTags"] == ["localhost/x:1"]
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    facts = json.loads(config)
    assert facts["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert len(facts["history"]) == 1  # buildah insists on one for each layer
    assert facts["config"]["Entrypoint"] == ["/usr/bin/program"]


def test_a_layer_belongs_to_root_and_has_the_folders_of_its_files(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_text("x")
    layer = tmp_path / "layer.tar"
    with archive.Layer(layer) as content:
        content.folder("/tmp", mode=0o1777)  # noqa: S108 - in the image
        content.file("/a/b/file", source)
        content.file("/a/b/again", source)

    with tarfile.open(layer) as tar:
        entries = {entry.name: entry for entry in tar.getmembers()}

    assert list(entries) == ["tmp", "a", "a/b", "a/b/file", "a/b/again"]
    assert {(entry.uid, entry.gid) for entry in entries.values()} == {(0, 0)}
    assert entries["tmp"].mode == 0o1777
    assert entries["a/b/file"].mode == 0o644


def test_nothing_half_written_is_left_beside_an_archive(image: Path) -> None:
    assert [path.name for path in image.parent.iterdir()] == ["image.tar"]


def test_libraries_are_read_from_what_ldd_prints() -> None:
    output = """\
\tlinux-vdso.so.1 (0x00007ffc)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f41)
\tlibgone.so => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f42)
"""

    assert python.linked(output) == {
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
    }
    assert python.linked("\tstatically linked\n") == set()


def test_a_distributions_own_python_stays_in_usr() -> None:
    assert python.prefix("/usr") == "/usr"
    assert python.prefix("/opt/python") == "/usr/local"


def test_a_python_without_a_wheel_of_pip_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python, "DEBIAN_WHEELS", tmp_path / "none")
    with pytest.raises(PrerequisiteError, match="python3-venv"):
        python.pip_wheel(tmp_path)

    bundled = tmp_path / "ensurepip" / "_bundled"
    bundled.mkdir(parents=True)
    (bundled / "pip-1.0-py3-none-any.whl").touch()
    assert python.pip_wheel(tmp_path).name == "pip-1.0-py3-none-any.whl"


def test_a_build_starts_from_the_local_base_and_the_users_arguments_come_later(
    tmp_path: Path,
) -> None:
    request = build.Request(
        tmp_path, "localhost/x:1", ("BASE_IMAGE=mine", "A=1"), dockerfile=Path("D")
    )

    arguments = build.build_arguments(request)

    base, own = arguments.index("BASE_IMAGE=localhost/base:1"), arguments.index("BASE_IMAGE=mine")
    assert base < own
    assert "--pull-never" in arguments
    assert arguments[-5:] == ["--file", "D", "--tag", "localhost/x:1", str(tmp_path)]


def test_a_build_of_nothing_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        build.Request(tmp_path / "none", "x")
    with pytest.raises(UsageError, match="KEY=VALUE"):
        build.Request(tmp_path, "x", ("A",))


def test_the_postgres_image_has_its_dockerfile_and_version() -> None:
    request = postgres.request("localhost/p:1", "16")

    assert (request.folder / "Dockerfile").exists()
    assert request.arguments == ("PG_MAJOR=16",)


def test_a_store_with_too_many_layers_is_full(tmp_path: Path) -> None:
    assert not build.store_is_full(tmp_path)
    for number in range(3):
        (tmp_path / "overlay" / str(number)).mkdir(parents=True)

    assert not build.store_is_full(tmp_path, most=3)
    assert build.store_is_full(tmp_path, most=2)
