"""The YAML of a page in docs/, as objects."""

import re
from typing import Any

import yaml

from tests.support.control_plane import ROOT

Manifest = dict[str, Any]


def objects(page: str) -> list[Manifest]:
    """Return what the page's YAML blocks say, in order."""
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [each for block in blocks for each in yaml.safe_load_all(block)]


def of_kind(page: str, kind: str) -> list[Manifest]:
    """Return the page's objects of one kind."""
    return [each for each in objects(page) if each.get("kind") == kind]
