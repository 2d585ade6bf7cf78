"""The few requests to the API server that the test bed makes itself, as the administrator."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.addresses import Addresses
    from testbed.cluster import Cluster
    from testbed.paths import State

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Api:
    """A client that opens one connection for each request: few are made."""

    addresses: Addresses
    context: ssl.SSLContext

    @classmethod
    def of(cls, cluster: Cluster, state: State) -> Api:
        """Return a client with the administrator's certificate."""
        context = ssl.create_default_context(cafile=str(state.pki / "ca.crt"))
        context.load_cert_chain(state.pki / "admin.crt", state.pki / "admin.key")
        return cls(cluster.addresses, context)

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make a request and return the status code and the body, read as JSON if it is.

        Raises:
            OSError, http.client.HTTPException: there was no answer.
        """
        connection = http.client.HTTPSConnection(
            self.addresses.node_ip,
            self.addresses.api_port,
            timeout=TIMEOUT_SECONDS,
            context=self.context,
        )
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, body=text, headers={"Content-Type": kind})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if "json" in response.getheader("Content-Type", ""):
            return response.status, json.loads(content)
        return response.status, content.decode(errors="replace")

    def answers(self, path: str) -> bool:
        """Tell whether a GET gives 200; False too while there is no server."""
        try:
            return self.request("GET", path)[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def node_ready(self, name: str) -> bool:
        """Tell whether a node has the condition Ready."""
        try:
            code, node = self.request("GET", f"/api/v1/nodes/{name}")
        except (OSError, http.client.HTTPException):
            return False
        if code != http.client.OK:
            return False
        conditions: list[dict[str, str]] = node["status"].get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
