"""References of a JSON Schema to what is not in it: nothing is fetched, so they lead nowhere."""

from typing import Any, Final

from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

_KEYWORDS: Final = ("$ref", "$dynamicRef")


def lost_reference(schema: dict[str, Any]) -> str | None:
    """Return a reference of this valid schema that it cannot resolve by itself, or None."""
    root: Resource[Any] = Resource.from_contents(schema, default_specification=DRAFT202012)
    left = [(root, Registry[Any]().resolver_with_root(root))]
    while left:
        resource, outer = left.pop()
        reference = ""
        try:
            resolver = outer.in_subresource(resource)
            for reference in _references(resource.contents):
                resolver.lookup(reference)
        except (Unresolvable, ValueError):  # ValueError: no address at all, such as http://[
            return reference or str(resource.id())
        left += [(each, resolver) for each in resource.subresources()]
    return None


def _references(contents: Any) -> list[str]:
    if not isinstance(contents, dict):
        return []
    found: list[Any] = [contents[key] for key in _KEYWORDS if key in contents]
    return [each for each in found if isinstance(each, str)]
