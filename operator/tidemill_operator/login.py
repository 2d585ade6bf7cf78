"""Where the API server is and who we are: once, for both the Kubernetes client and kopf.

A kubeconfig named by KUBECONFIG comes first (a person said so), then the pod's service account,
then ~/.kube/config.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kopf
import urllib3
from kubernetes import client
from kubernetes import config as kubernetes_config

from tidemill.errors import ConfigurationError

config: Any = kubernetes_config
"""The client ships types for some of its parts only; this one is untyped."""

IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
DEFAULT_KUBECONFIG = "~/.kube/config"
NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


def configuration(environ: Mapping[str, str], *, connections: int) -> client.Configuration:
    """Return the client's configuration. Raises ConfigurationError when there is no cluster."""
    found = client.Configuration()
    try:
        if path := environ.get("KUBECONFIG"):
            config.load_kube_config(config_file=path, client_configuration=found)
        elif environ.get(IN_CLUSTER):
            config.load_incluster_config(client_configuration=found)
        else:
            _load_default(found)
    except (config.ConfigException, OSError) as error:
        raise ConfigurationError(f"cannot log in to Kubernetes: {error}") from error
    found.connection_pool_maxsize = connections
    # The loop tries again; a call that waits for a second timeout would only hold it up.
    # An answer is an answer: a Retry-After would be waited for, or be taken for no answer at all.
    found.retries = urllib3.Retry(
        total=1, connect=1, read=0, redirect=0, status=0, respect_retry_after_header=False
    )
    return found


def own_namespace(environ: Mapping[str, str]) -> str:
    """Return the namespace that we are in: the pod's, or the kubeconfig's context's, or default."""
    if environ.get(IN_CLUSTER) and not environ.get("KUBECONFIG"):
        try:
            return Path(NAMESPACE_FILE).read_text(encoding="utf-8").strip() or "default"
        except OSError:
            return "default"
    try:
        _, context = config.list_kube_config_contexts(config_file=environ.get("KUBECONFIG"))
    except (config.ConfigException, OSError):
        return "default"
    return str(context.get("context", {}).get("namespace") or "default")


def _load_default(found: client.Configuration) -> None:
    path = Path(DEFAULT_KUBECONFIG).expanduser()
    if not path.exists():
        raise ConfigurationError(
            "no Kubernetes cluster: KUBECONFIG is not set, this is no pod, "
            f"and there is no {DEFAULT_KUBECONFIG}"
        )
    config.load_kube_config(config_file=str(path), client_configuration=found)


def connection_info(found: client.Configuration) -> kopf.ConnectionInfo:
    """Return the same account and server as kopf wants them; reads a rotated token anew."""
    header: str | None = found.get_api_key_with_prefix("BearerToken")
    scheme, _, token = (header or "").partition(" ")
    return kopf.ConnectionInfo(
        server=_text(found.host) or "",
        ca_path=_text(found.ssl_ca_cert),
        insecure=not found.verify_ssl,
        scheme=(scheme if token else None) or None,
        token=(token or scheme) or None,
        certificate_path=_text(found.cert_file),
        private_key_path=_text(found.key_file),
    )


def _text(value: Any) -> str | None:
    return str(value) if value else None


def environment() -> Mapping[str, str]:
    """Return the process's environment: read when asked, never at import."""
    return os.environ
