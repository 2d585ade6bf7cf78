"""NDJSON: a task a line, read while it arrives, and faults that name the line."""

import re
from array import array
from typing import Final

from tidemill.errors import Conflict, Fault, InvalidTask, QueueFull
from tidemill.models import Enqueued
from tidemill.store.parts import place_of
from tidemill_api import reading, strictjson
from tidemill_api.context import Api
from tidemill_api.gathering import Gathering
from tidemill_api.problems import Problem
from tidemill_api.reading import Arriving
from tidemill_api.strictjson import BadJson

_BOM: Final = b"\xef\xbb\xbf"
_LINE: Final = re.compile(rb"[^ \t\r\n][^\n]*")  # what is blank is passed over here, not in Python
_FIRST: Final = 1
_IN_LINE: Final = "at line 1 column"  # where the decoder says that a line goes wrong


async def stored(api: Api, arriving: Arriving, gathering: Gathering) -> list[Enqueued]:
    """Store the tasks of an NDJSON body, all or nothing.

    Raises what `Arriving.read` and `Gathering.store` do; its faults name the line as well.
    """
    lines = Lines(api, gathering)
    try:
        await lines.read(arriving)
        return await gathering.store()
    except Exception as error:
        lines.name(error)
        raise


class Lines:
    """Cuts what arrives into lines, and adds the task of each that is not blank."""

    def __init__(self, api: Api, gathering: Gathering) -> None:
        """Add to `gathering`."""
        self._gathering = gathering
        self._most_payload = api.settings.max_payload_bytes
        self._most = self._most_payload + reading.ENVELOPE_BYTES
        self._rest = bytearray()
        self._line = _FIRST
        self._numbers = array("L")

    async def read(self, arriving: Arriving) -> None:
        """Add the tasks of a body. Raises BadJson, InvalidTask and problems."""
        while chunk := await arriving.read():
            await self._take(chunk)
        if self._rest:
            await self._add(bytes(self._rest))

    def name(self, error: Exception) -> None:
        """Add to each task that `error` names its line: blank ones have a number and no task."""
        if isinstance(error, BadJson | InvalidTask):
            error.faults = tuple(self._named(fault) for fault in error.faults)
        elif isinstance(error, Problem):
            error.detail = self._told(error.detail, error.detail)
            error.faults = [self._named(fault) for fault in error.faults]
        elif isinstance(error, Conflict | QueueFull):
            error.args = tuple(self._told(str(each), str(each)) for each in error.args)

    async def _take(self, chunk: bytes) -> None:
        at = 0
        if self._rest:
            end = chunk.find(b"\n")
            if end < 0:
                return self._keep(chunk)
            await self._add(bytes(self._rest) + chunk[:end])
            self._rest.clear()
            at = end
        for found in _LINE.finditer(chunk, at):
            self._line += chunk.count(b"\n", at, found.start())
            at = found.end()
            if at == len(chunk):
                return self._keep(found[0])
            await self._add(found[0])
        self._line += chunk.count(b"\n", at)
        return None

    def _keep(self, start: bytes) -> None:
        """Keep what may be a part of a line. Raises a 413 problem when it is too much for one."""
        self._rest += start
        if len(self._rest) > self._most:
            raise self._too_long()

    async def _add(self, line: bytes) -> None:
        if self._line == _FIRST:
            line = line.removeprefix(_BOM)
        if len(line) > self._most:
            raise self._too_long()
        if not line or line.isspace():
            return
        self._numbers.append(self._line)
        try:
            value = strictjson.parse(line, where=f"tasks[{self._gathering.count}]")
        except BadJson as error:
            self._gathering.malformed(error.faults)
        else:
            await self._gathering.add(value, len(line), long=len(line) > self._most_payload)

    def _too_long(self) -> Problem:
        self._numbers.append(self._line)
        return reading.too_large(self._most, f"tasks[{self._gathering.count}]")

    def _named(self, fault: Fault) -> Fault:
        return Fault(fault.field, self._told(fault.field, fault.rule), fault.value)

    def _told(self, field: str, text: str) -> str:
        place = place_of(field)
        if place is None or place >= len(self._numbers):
            return text
        number = self._numbers[place]
        if _IN_LINE in text:
            return text.replace(_IN_LINE, f"at line {number} column", 1)
        return f"{text} (line {number})"
