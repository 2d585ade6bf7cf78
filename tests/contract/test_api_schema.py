"""schemathesis against /openapi.json: no 5xx, nothing undocumented; the same run each time."""

import sys

import pytest

from tests.support.api_process import api_process
from tests.support.schema_fuzz import STREAMS, fuzz
from tests.support.seeds import seed
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_api.routes import ENDPOINTS

DOCUMENT = "/openapi.json"  # schemathesis reads it, and does not ask for it again
EXAMPLES = "2"
"""Cases drawn for an operation, beside those that cover its schema; `make fuzz` draws more."""


@pytest.mark.timeout(600)
async def test_every_operation_answers_generated_requests_as_documented(
    settings: Settings, store: Store
) -> None:
    await seed(store)
    async with api_process(settings) as http:
        url = str(http._base_url).rstrip("/")
        run = await fuzz(url, "--generation-deterministic", "--max-examples", EXAMPLES)
    sys.stdout.write(run.told())  # shown with -s: the figures that a release report quotes
    assert run.clean, run.output
    asked = {(e.method, e.path) for e in ENDPOINTS if e.name not in STREAMS}
    assert run.operations >= asked - {("GET", DOCUMENT)}
    assert 0 not in run.answers
    assert min(run.answers[200], run.answers[201], run.answers[400]) > 0
