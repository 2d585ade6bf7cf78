"""Short ways to ask the doctor, for its tests."""

from tidemill.doctor import Finding, Level, examine
from tidemill.settings import Settings


async def asked(settings: Settings, check: str) -> list[Finding]:
    """Return what the doctor finds in one of its checks."""
    return [each for each in (await examine(settings)).findings if each.check == check]


async def one(settings: Settings, check: str) -> Finding:
    """Return the only finding of a check."""
    [found] = await asked(settings, check)
    return found


async def well(settings: Settings, check: str) -> bool:
    """Return whether a check finds nothing wrong."""
    return {each.level for each in await asked(settings, check)} == {Level.OK}
