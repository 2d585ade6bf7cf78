"""Write the table of docs/simulation.md and its pictures anew: the same ones each time.

    python tools/simulation_docs.py

The pictures need matplotlib. tests/unit/test_scaling_simulation.py holds the table equal.
"""

import re
from pathlib import Path

from tidemill_operator.simulation.plot import draw
from tidemill_operator.simulation.report import markdown
from tidemill_operator.simulation.standard import CONTENDERS, LOADS, figures, played

DOCS = Path(__file__).parents[1] / "docs"
DRAWN = ("burst", "steady", "sawtooth", "cron", "worst")
"""The loads with a picture, by the first word of their names."""


def main() -> None:
    """Play all of it."""
    page = DOCS / "simulation.md"
    table = list(markdown([(load, figures(load)) for load in LOADS]))
    old = re.compile(rf"^{re.escape(table[0])}\n(\|.*\|\n)+", re.MULTILINE)
    text, replaced = old.subn(lambda _: "\n".join(table) + "\n", page.read_text())
    if replaced != 1:
        message = f"{page}: a table of this head must be there once (found {replaced})"
        raise SystemExit(message)
    page.write_text(text)
    for load in LOADS:
        name = load.split(":")[0]
        if name in DRAWN:
            rows = [(each.name, played(load, each)) for each in CONTENDERS]
            draw(rows, DOCS / "images" / f"simulation-{name}.svg", title=load)


if __name__ == "__main__":
    main()
