"""Who asks: the API server, by its front-proxy certificate, on behalf of a client that it names.

What to trust is in a ConfigMap that every API server keeps: the authority that signs its
certificate, the names that the certificate may have, and the headers that name the client.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import unquote

from tidemill.errors import ConfigurationError

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
_PREFIX: Final = "requestheader-"


@dataclass(frozen=True, slots=True)
class Client:
    """Whom the API server speaks for."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontProxy:
    """What an API server's certificate is checked against, and its headers."""

    authority: str
    allowed: tuple[str, ...]
    user_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]
    uid_headers: tuple[str, ...] = ()

    @classmethod
    def of(cls, config_map: Mapping[str, Any]) -> Self:
        """Read the ConfigMap. Raises ConfigurationError where there is no front proxy."""
        data: Mapping[str, str] = config_map.get("data") or {}
        authority = data.get(f"{_PREFIX}client-ca-file", "")
        if not authority.strip():
            raise ConfigurationError(
                f"ConfigMap {NAMESPACE}/{NAME} has no {_PREFIX}client-ca-file: this cluster's API "
                "server cannot call extension API servers (its --requestheader- flags are not set)"
            )
        return cls(
            authority=authority,
            allowed=_listed(data, "allowed-names"),
            user_headers=_listed(data, "username-headers"),
            group_headers=_listed(data, "group-headers"),
            extra_prefixes=_listed(data, "extra-headers-prefix"),
            uid_headers=_listed(data, "uid-headers"),
        )

    def trusts(self, certificate: Mapping[str, Any] | None) -> bool:
        """Return whether a verified certificate is the front proxy's; None = there was none."""
        if not certificate:
            return False
        names = [
            value
            for part in certificate.get("subject", ())
            for key, value in part
            if key == "commonName"
        ]
        return not self.allowed or any(each in self.allowed for each in names)

    def client(self, headers: Sequence[tuple[str, str]]) -> Client | None:
        """Return whom the headers name; None when they name nobody."""
        user = next(iter(_values(headers, self.user_headers)), "")
        if not user:
            return None
        return Client(
            user=user,
            groups=tuple(_values(headers, self.group_headers)),
            uid=next(iter(_values(headers, self.uid_headers)), ""),
            extra=self._extra(headers),
        )

    def _extra(self, headers: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
        found = dict[str, tuple[str, ...]]()
        for name, value in headers:
            for prefix in self.extra_prefixes:
                if name.lower().startswith(prefix.lower()):
                    key = unquote(name[len(prefix) :].lower())
                    found[key] = (*found.get(key, ()), value)
        return found


def _listed(data: Mapping[str, str], name: str) -> tuple[str, ...]:
    try:
        listed = json.loads(data.get(f"{_PREFIX}{name}") or "[]")
        return tuple(str(each) for each in listed)
    except (ValueError, TypeError) as error:
        key = f"{_PREFIX}{name}"
        raise ConfigurationError(f"ConfigMap {NAMESPACE}/{NAME}: {key} is no JSON list") from error


def _values(headers: Sequence[tuple[str, str]], names: Sequence[str]) -> list[str]:
    """Return the values of the first of `names` that is there."""
    for wanted in names:
        found = [value for name, value in headers if name.lower() == wanted.lower()]
        if found:
            return found
    return []
