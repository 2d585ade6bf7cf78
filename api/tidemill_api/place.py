"""Where the API is below its host's root: the setting `api_prefix`, for proxies that pass it on."""

import re
from typing import Final

from tidemill.errors import ConfigurationError
from tidemill.setting import variable_of

_PREFIX: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


def prefix_of(text: str) -> str:
    """Return the prefix as paths begin with it. Raises ConfigurationError."""
    if not _PREFIX.fullmatch(text):
        raise ConfigurationError(
            f"{variable_of('api_prefix')} must be empty or a path such as /tidemill, without a "
            f"slash at its end (got {text!r})"
        )
    return text
