"""`python3 -m testbed`: needs nothing but Python 3.11."""

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - the Python of a machine, not of a project
        sys.exit(
            f"error: the test bed needs Python 3.11 or newer, this is {sys.version.split()[0]}"
        )

    from testbed.cli import main

    sys.exit(main(sys.argv[1:]))
