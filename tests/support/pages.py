"""The code blocks of a page of the documentation, and how to run them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"^# ([\w/]+\.py)( \(add\))?\n")


@dataclass(frozen=True)
class Block:
    """One block. `file`: the name in its first line; `added`: it goes to what that file has."""

    language: str
    text: str
    line: int
    file: str | None = None
    added: bool = False

    def write(self, folder: Path) -> None:
        """Write it to its file in `folder`."""
        assert self.file
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() + "\n\n" if self.added else ""
        path.write_text(before + self.text)

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command of a console block, with what it prints."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.rstrip("\n")


def blocks(page: Path) -> list[Block]:
    """Return the blocks of `page`, in order."""
    text = page.read_text()
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        named = _NAMED.match(match[2]) if match[1] == "python" else None
        line = text.count("\n", 0, match.start()) + 1
        file, added = (named[1], bool(named[2])) if named else (None, False)
        found.append(Block(match[1], match[2], line, file, added))
    return found


def same(told: str, printed: str) -> bool:
    """Whether `printed` is what a page tells; `…` stands for anything within a line."""
    pattern = re.escape(told.rstrip()).replace("…", r"[^\n]*")
    return re.fullmatch(pattern, printed.rstrip()) is not None
