"""Takes secrets out of text that others may read: recorded errors, tracebacks, log lines.

What is hidden: passwords in addresses, `Authorization` and bearer tokens, values next to names like
`password`, `secret`, `token` or `api_key`, private keys, tokens of well-known shapes; and wherever
they stand, the values of environment variables with such names and the passwords in the addresses
that the environment holds. An app adds its own rules: `App(redact=…)`.

It hides too much rather than too little: a word behind `password:` goes, whatever it is.
"""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, TypeGuard, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from tidemill.setting import about
from tidemill.settings import Settings

Redact = Callable[[str], str]

MASK: Final = "***"
LEAST_CHARACTERS: Final = 8
"""A shorter value of the environment is not looked for: `dev` would go from every word with it."""

_REFRESH_SECONDS: Final = 1.0
_NAMES: Final = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|credentials?|cookie"
    r"|(?:api|access|private|signing|encryption)[_-]?key"
)
_SECRET_NAME: Final = re.compile(_NAMES, re.IGNORECASE)
_VALUE: Final = r"""(?:"[^"\n]*"|'[^'\n]*'|\\+["'][^"'\\\n]*|[^\s,;&"'\\(){}\[\]]+)"""
_HINTS: Final = ("pass", "pwd", "secret", "token", "credential", "cookie", "key")


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern, tried on text with one of `hints` in it, and what is kept of a match."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    kept: str = rf"\1{MASK}"


# Repetitions are bounded where they could meet each other: the text may be anything, and long.
_RULES: Final = (
    _Rule(("://",), re.compile(r"(://[^\s:/@'\"]{0,100}:)[^\s'\"]{1,200}(?=@)")),
    _Rule(
        ("authorization",),
        re.compile(
            r"(\bauthorization\\*[\"']?\s{0,9}[:=]\s{0,9}\\*[\"']?(?:[a-z]{3,12}\s{1,9})?)"
            r"[^\s\"'\\,;]+",
            re.IGNORECASE,
        ),
    ),
    _Rule(
        ("bearer",),
        re.compile(r"(\bbearer\s{1,9})(?=[^\s]{0,40}\d|[^\s]{24})[\w.~+/=-]{8,}", re.IGNORECASE),
    ),
    _Rule(
        _HINTS,
        re.compile(
            rf"((?<!lease_)(?:{_NAMES})(?:[_-]?(?:key|id|value|hash))?\\*[\"']?\s{{0,9}}"
            r"(?::(?!:)|=>?)\s{0,9})(?!(?:None|null|true|false|str|bytes|=|\*\*\*)(?:\W|$))"
            rf"{_VALUE}",
            re.IGNORECASE,
        ),
    ),
    _Rule(
        ("--",),
        re.compile(rf"((?<![\w-])--[\w-]{{0,40}}(?:{_NAMES})[ ]){_VALUE}", re.IGNORECASE),
    ),
    _Rule(
        ("-----begin",),
        re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL),
    ),
    _Rule(
        ("eyj", "akia", "asia", "gh", "glpat", "xox", "sk-", "sk_", "tm_"),
        re.compile(
            r"\b(?:(eyJ)[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?|(AKIA|ASIA)[0-9A-Z]{16}"
            r"|(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk[-_](?:live_|test_|proj-)?|tm_)[\w-]{16,})"
        ),
        rf"\1\2\3{MASK}",
    ),
)


class Redactor:
    """The rules above, the secrets of an environment, and what is added."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Look for the secrets of `environ`, as it is when something is redacted."""
        self._environ = environ
        self._hidden: set[str] = set()
        self._own: list[Redact] = []
        self._values: re.Pattern[str] | None = None
        self._read_at = float("-inf")

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        if (values := self._secrets()) is not None:
            text = values.sub(MASK, text)
        lowered = text.lower()
        for rule in _RULES:
            if any(hint in lowered for hint in rule.hints):
                text = rule.pattern.sub(rule.kept, text)
        for own in self._own:
            text = _applied(own, text)
        return text

    def hide(self, *values: str) -> None:
        """Look for these values too: secrets, or addresses with passwords."""
        for value in values:
            self._hidden.update(_in_value(value, is_secret=not _is_address(value)))
        self._read_at = float("-inf")

    def add(self, own: Redact) -> None:
        """Apply `own` as well, after the rules. When it fails, the text is not shown at all."""
        if own not in self._own:
            self._own.append(own)

    def _secrets(self) -> re.Pattern[str] | None:
        now = time.monotonic()
        if now - self._read_at > _REFRESH_SECONDS:
            self._values = _any_of({*secrets_of(self._environ), *self._hidden})
            self._read_at = now
        return self._values


def secrets_of(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secret values of an environment."""
    for name, value in environ.items():
        is_place = name.upper().endswith(("_FILE", "_PATH", "_DIR")) or name in {"PWD", "OLDPWD"}
        is_secret = not is_place and is_secret_name(name)
        yield from _in_value(value, is_secret=is_secret)


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, by its name."""
    return _SECRET_NAME.search(name) is not None and name != "lease_token"


process: Final = Redactor(os.environ)
"""The redactor of this process: what is hidden from one log line is hidden everywhere."""


def redact(text: str) -> str:
    """Return `text` without the secrets that this process knows of."""
    return process(text)


def redact_value(value: Any, name: str = "") -> Any:
    """Return a JSON-like value with its texts redacted; `name` is of the field that holds it."""
    if isinstance(value, str):
        return MASK if value and is_secret_name(name) else process(value)
    if _is_object(value):
        return {key: redact_value(each, str(key)) for key, each in value.items()}
    if _is_list(value):
        return [redact_value(each, name) for each in value]
    return value


def hide(settings: Settings) -> None:
    """Hide the secrets among these settings: they may come from a command line or from code."""
    process.hide(*(getattr(settings, each.name) for each in fields(settings) if about(each).secret))


def _is_object(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


def _applied(own: Redact, text: str) -> str:
    try:
        redacted = cast("object", own(text))
    except Exception as error:  # noqa: BLE001 - the user's own code; what it could not check is not shown
        return f"[not shown: the app's redact raised {type(error).__name__}]"
    if isinstance(redacted, str):
        return redacted
    return f"[not shown: the app's redact returned {type(redacted).__name__}]"


def _in_value(value: str, *, is_secret: bool) -> Iterator[str]:
    if is_secret and not _is_address(value):
        yield value.strip()
    elif _is_address(value):
        for address in value.split():
            yield from _password(address)


def _password(address: str) -> Iterator[str]:
    """Yield the password of `address`, unless it is no secret: the user's name, or the database's.

    With `app:app@host/app` for development, every `app` in the log would be hidden.
    """
    try:
        parts = urlsplit(address)
        password = parts.password
    except ValueError:
        return
    known = {parts.username, parts.path.strip("/")}
    asked = [value for name, value in parse_qsl(parts.query) if is_secret_name(name)]
    for secret in (password or "", unquote(password or ""), *asked):
        if secret not in known:
            yield secret


def _is_address(value: str) -> bool:
    return "://" in value


def _any_of(values: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern of the values that are long enough, the longest first."""
    lines = (line for value in values for line in value.splitlines())
    known = sorted({line for line in lines if len(line) >= LEAST_CHARACTERS}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, known))) if known else None
