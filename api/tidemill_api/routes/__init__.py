"""Every route of the API, once: the application and /openapi.json are both made from these."""

from typing import Final

from tidemill_api.endpoints import Endpoint
from tidemill_api.routes.acts import ACTS
from tidemill_api.routes.dead_letters import DEAD_LETTERS
from tidemill_api.routes.events import EVENTS
from tidemill_api.routes.history import HISTORY
from tidemill_api.routes.leases import LEASES
from tidemill_api.routes.queues import QUEUES
from tidemill_api.routes.schedules import SCHEDULES
from tidemill_api.routes.system import SYSTEM
from tidemill_api.routes.tasks import TASKS
from tidemill_api.routes.types import TYPES
from tidemill_api.routes.workers import WORKERS

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *TASKS,
    *ACTS,
    *DEAD_LETTERS,
    *QUEUES,
    *TYPES,
    *SCHEDULES,
    *WORKERS,
    *LEASES,
    *HISTORY,
    *EVENTS,
    *SYSTEM,
)
