"""Every route of the API, once: the application and /openapi.json are both made from these."""

from typing import Final

from tidemill_api.endpoints import Endpoint
from tidemill_api.routes.system import SYSTEM
from tidemill_api.routes.tasks import TASKS

ENDPOINTS: Final[tuple[Endpoint, ...]] = (*TASKS, *SYSTEM)
