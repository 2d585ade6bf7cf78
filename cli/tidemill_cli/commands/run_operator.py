"""`tidemill operator`: the Kubernetes operator as a process."""

import click

from tidemill import logs
from tidemill.settings import Settings
from tidemill_cli.options import DATABASE, LOGS, with_settings
from tidemill_operator.process import run


@click.command(
    name="operator",
    epilog="""\b
Examples:
  tidemill operator                                   in a pod, or with your kubeconfig
  tidemill operator --operator-namespaces tasks,mail  only these namespaces
""",
)
@with_settings(
    "operator_namespaces",
    "operator_tick_seconds",
    "operator_probe_host",
    "operator_probe_port",
    "worker_image",
    *DATABASE,
    *LOGS,
)
def command(settings: Settings) -> int:
    """Watch TaskQueue resources and size their workers, until SIGTERM or Ctrl-C."""
    logs.configure(settings, component="operator")
    return run(settings)
