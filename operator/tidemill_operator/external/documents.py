"""The answers of external.metrics.k8s.io/v1beta1 as values. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
GROUP_VERSION = f"{GROUP}/{VERSION}"
_VERSION_ENTRY = {"groupVersion": GROUP_VERSION, "version": VERSION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One figure, in thousandths, and the labels that tell whose it is."""

    labels: Mapping[str, str]
    milli: int


def group() -> Json:
    """Return the APIGroup."""
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": [_VERSION_ENTRY],
        "preferredVersion": _VERSION_ENTRY,
    }


def groups() -> Json:
    """Return the APIGroupList."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]}


def resources(metrics: Iterable[str]) -> Json:
    """Return the APIResourceList: each metric is a namespaced resource."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": [
            {
                "name": name,
                "singularName": "",
                "namespaced": True,
                "kind": "ExternalMetricValueList",
                "verbs": ["get"],
            }
            for name in metrics
        ],
    }


def values(metric: str, found: Iterable[Value], timestamp: str) -> Json:
    """Return the ExternalMetricValueList."""
    return {
        "kind": "ExternalMetricValueList",
        "apiVersion": GROUP_VERSION,
        "metadata": {},
        "items": [
            {
                "metricName": metric,
                "metricLabels": dict(each.labels),
                "timestamp": timestamp,
                "value": quantity(each.milli),
            }
            for each in found
        ],
    }


def quantity(milli: int) -> str:
    """Return thousandths as Kubernetes writes a quantity."""
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def refusal(code: int, reason: str, message: str) -> Json:
    """Return the Status that says why there is no answer."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


class BadSelector(ValueError):
    """Raised for a label selector that cannot be read."""


_PART = re.compile(r"\s*(?:[^,()]|\([^()]*\))+")
_SET = re.compile(r"^(\S+)\s+(in|notin)\s+\(([^()]*)\)$")
_EQUAL = re.compile(r"^([^\s!=]+)\s*(==|=|!=)\s*([^\s!=]*)$")
_PRESENT = re.compile(r"^(!?)\s*([^\s!=()]+)$")


def matches(selector: str, labels: Mapping[str, str]) -> bool:
    """Return whether `labels` match a label selector, '' = all. Raises BadSelector."""
    # All parts are read, also after one that does not match: a mistake is always told.
    found = [_matches(part.strip(), labels) for part in _PART.findall(selector)]
    return all(found)


def _matches(part: str, labels: Mapping[str, str]) -> bool:
    if found := _SET.match(part):
        listed = {each.strip() for each in found[3].split(",")}
        return (labels.get(found[1]) in listed) == (found[2] == "in")
    if found := _EQUAL.match(part):
        return (labels.get(found[1]) == found[3]) == (found[2] != "!=")
    if found := _PRESENT.match(part):
        return (found[2] in labels) == (not found[1])
    raise BadSelector(f"labelSelector cannot be read at {part!r}")
