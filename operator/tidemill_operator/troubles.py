"""A trouble that lasts is one line in the log when it begins and one when it ends."""

import logging


class Troubles:
    """What is in trouble now, by name."""

    def __init__(self, log: logging.Logger) -> None:
        """Write to `log`."""
        self._log = log
        self._lasting: dict[str, str] = {}

    def met(self, name: str, message: str) -> None:
        """Warn of a trouble, unless it is the one that was met last time."""
        known = self._lasting.get(name) == message
        self._log.log(logging.DEBUG if known else logging.WARNING, "%s", message)
        self._lasting[name] = message

    def over(self, name: str, message: str) -> None:
        """Say that it is over, if there was one."""
        if self._lasting.pop(name, None) is not None:
            self._log.info("%s", message)
