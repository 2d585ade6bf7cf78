"""Plain functions, in code that never awaits: each runs in a thread of a worker.

Where TIDEMILL_DATABASE_URL names a database with the schema in it (`tidemill migrate`):

    tidemill worker examples.plain:app
    python -m examples.plain "to be or not to be"

or without a database of your own, `tidemill up --app examples.plain:app`.
"""

import sys
from collections import Counter
from dataclasses import dataclass

from tidemill import App

app = App()


@dataclass
class Words:
    """How many words a text has, and the one it has most often."""

    count: int
    most_frequent: str


@app.task(max_retries=5, timeout_seconds=30)
def count_words(text: str) -> Words:
    """Count the words of a text."""
    words = Counter(text.lower().split())
    [(most_frequent, _)] = words.most_common(1)
    return Words(words.total(), most_frequent)


def main() -> None:
    """Enqueue a task for each text of the command line, then wait for the results."""
    handles = count_words.enqueue_many_sync([{"text": text} for text in sys.argv[1:]])
    for handle in handles:
        words = handle.result_sync(timeout=60)  # a Words again, not a dict
        print(f"{words.count} words, most often {words.most_frequent!r}")


if __name__ == "__main__":
    main()
