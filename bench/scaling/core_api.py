"""Pods through the API server, as the official client has them."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config

_kubernetes: Any = config


@contextmanager
def core_api(kubeconfig: Path) -> Generator[Any]:
    """Yield a CoreV1Api, closed at the end. Its calls block: they belong into threads."""
    found = client.Configuration()
    _kubernetes.load_kube_config(config_file=str(kubeconfig), client_configuration=found)
    connection: Any = client.ApiClient(found)
    try:
        yield client.CoreV1Api(connection)
    finally:
        connection.close()
