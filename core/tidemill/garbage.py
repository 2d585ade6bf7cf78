"""The garbage collector of a process of ours.

What passes through makes thousands of small objects a batch, none of them in cycles: collections
find nothing, and with CPython's thresholds they were 40 % of the processor time that claiming and
recording cost (docs/benchmarks.md).
"""

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 10, 10)
"""Some batches between collections; with the collector off nothing more is gained."""


def spare() -> None:
    """Collect less often, and never look again at what is loaded by now.

    For processes that are ours alone: an embedding one has its own ideas.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
