"""A producer's ways in: enqueue tasks, wait for them, look at them.

`Client` speaks with Postgres, `HttpClient` (in `tidemill.client.http`) with the HTTP API, and
`SyncClient` drives either from code that cannot await.
"""

from tidemill.client.base import Producer
from tidemill.client.direct import Client

__all__ = ["Client", "Producer"]
