"""What a setting is: its meaning, unit, range and how its text is read. The list is `settings`."""

import re
from dataclasses import Field, dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from tidemill.errors import ConfigurationError

PREFIX: Final = "TIDEMILL_"
_QUERY_PASSWORD: Final = re.compile(r"((?:^|&)(?:ssl)?password=)[^&]*")


@dataclass(frozen=True, slots=True)
class About:
    """What a setting means. `least` and `most` bound numbers; `choices` bound words."""

    meaning: str
    group: str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False


def setting(default: Any, meaning: str, *, group: str, **about: Any) -> Any:
    """Return a field of `Settings` with this default and meaning; `about`: see `About`."""
    return field(default=default, metadata={"about": About(meaning, group, **about)})


def variable_of(name: str) -> str:
    """Return the environment variable of the setting `name`."""
    return PREFIX + name.upper()


def about(each: Field[Any]) -> About:
    """Return what is known of the setting `each`."""
    known: About = each.metadata["about"]
    return known


def checked(each: Field[Any], text: str, variable: str) -> Any:
    """Return the value that `text` gives. Raises ConfigurationError naming `variable`."""
    known = about(each)
    if each.type in (int, float):
        return _number(each.type, text, variable, known)
    if known.choices and text not in known.choices:
        rule = f"must be one of {', '.join(known.choices)}"
        raise ConfigurationError(f"{variable} {rule} (got {text!r})")
    return text


def _number(kind: Any, text: str, variable: str, known: About) -> Any:
    try:
        number = kind(text)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise ConfigurationError(f"{variable} must be {noun} (got {text!r})") from None
    if not (known.least is None or known.least <= number) or not (
        known.most is None or number <= known.most
    ):
        span = f"{known.least:g} to {known.most:g} {known.unit}".rstrip()
        raise ConfigurationError(f"{variable} must be {span} (got {text})")
    return number


def masked(url: str) -> str:
    """Return an address without its passwords; of another secret, nothing."""
    if url and "://" not in url:
        return "***"
    try:
        parts = urlsplit(url)
    except ValueError:  # no address at all: who knows where its password is
        return "***"
    netloc, query = parts.netloc, _QUERY_PASSWORD.sub(r"\1***", parts.query)
    if parts.password:
        netloc = netloc.replace(f":{parts.password}@", ":***@")
    return (
        url
        if (netloc, query) == parts[1:4:2]
        else urlunsplit(parts._replace(netloc=netloc, query=query))
    )
