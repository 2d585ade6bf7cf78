"""Every setting, once: meaning, unit, default and range. Read from `TIDEMILL_*` variables.

The command line's options, docs/configuration.md, .env.example and the chart's values are checked
against this list. Nothing is read at import: a process calls `Settings.load(os.environ)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from tidemill.errors import ConfigurationError
from tidemill.setting import about, checked, masked, setting, variable_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a process. Components read the part that concerns them."""

    database_url: str = setting(
        "",
        "where Postgres is: postgresql://user:password@host:5432/name; of several hosts, separated "
        "by commas, the one that can be written to",
        group="database",
        secret=True,
    )
    database_direct_url: str = setting(
        "",
        "the same database past a transaction pooler, for LISTEN and migrations; "
        "without it a pooled process polls",
        group="database",
        secret=True,
    )
    database_ca_file: str = setting(
        "", "CA certificate that the server's certificate is verified against", group="database"
    )
    database_password_file: str = setting(
        "",
        "file with the password, read at each new connection; instead of one in the address",
        group="database",
    )
    database_pooler: str = setting(
        "none",
        "what stands between: `transaction` for PgBouncer in transaction mode",
        group="database",
        choices=("none", "transaction"),
    )
    database_pool_size: int = setting(
        8, "most connections of one process", group="database", least=2, most=200
    )
    database_connect_seconds: float = setting(
        10.0, "how long to try one server for a connection",
        group="database", unit="s", least=0.1, most=300,
    )  # fmt: skip
    database_statement_seconds: float = setting(
        30.0, "longest statement", group="database", unit="s", least=0.1, most=3600
    )
    database_wait_seconds: float = setting(
        60.0, "how long a starting process waits for the database and its schema",
        group="database", unit="s", least=0, most=86400,
    )  # fmt: skip

    api_host: str = setting("127.0.0.1", "address that the API listens on", group="api")
    api_port: int = setting(8080, "port that the API listens on", group="api", least=1, most=65535)
    api_processes: int = setting(
        1, "processes that serve the API's port together", group="api", least=1, most=64
    )
    api_prefix: str = setting(
        "", "path that all the API's paths begin with, such as /tidemill", group="api"
    )
    api_drain_delay_seconds: float = setting(
        0.0, "how long a stopping API still accepts, as not ready, while load balancers turn away",
        group="api", unit="s", least=0, most=300,
    )  # fmt: skip
    api_keepalive_seconds: float = setting(
        75.0, "how long a connection may stay without a request, and a request's head may take",
        group="api", unit="s", least=1, most=3600,
    )  # fmt: skip
    api_connections: int = setting(
        10_000, "most connections of one API process; one more is answered 503",
        group="api", least=10, most=1_000_000,
    )  # fmt: skip
    cors_origins: str = setting(
        "",
        "origins whose pages may use the API, comma-separated; * = any; none = CORS is off",
        group="api",
    )
    unknown_types: str = setting(
        "accept",
        "what an enqueue of an unregistered type gets",
        group="api",
        choices=("accept", "reject"),
    )
    create_queues_on_enqueue: str = setting(
        "on",
        "whether an enqueue into a queue that does not exist creates it, or is refused",
        group="api",
        choices=("on", "off"),
    )
    tokens_file: str = setting(
        "", "JSON file with the API's tokens, read again when it changes; none = no authentication",
        group="api",
    )  # fmt: skip
    tokens: str = setting("", "the same JSON, instead of a file", group="api", secret=True)
    open_metrics: str = setting(
        "off", "whether /metrics answers without a token", group="api", choices=("on", "off")
    )
    max_payload_bytes: int = setting(
        1_048_576, "largest payload as JSON", group="api", unit="bytes", least=1, most=67_108_864
    )
    max_batch_tasks: int = setting(
        10_000, "most tasks in one batch request", group="api", unit="tasks", least=1, most=10_000
    )

    app: str = setting("", "the app that workers run: package.module:attribute", group="worker")
    queues: str = setting(
        "*", "queues to work on, comma-separated, `name` or `name=weight`; * = all", group="worker"
    )
    queue_order: str = setting(
        "weighted",
        "which queue comes first: by `weighted` turns, or in the `strict` order of the names",
        group="worker",
        choices=("weighted", "strict"),
    )
    concurrency: int = setting(
        20, "tasks that one worker process runs at once", group="worker", least=1, most=10_000
    )
    prefetch: str = setting(
        "auto",
        "tasks claimed ahead of free slots: `auto` = what finishes in about 100 ms, or a number",
        group="worker",
    )
    lease_seconds: float = setting(
        30.0, "how long a claim lasts without a heartbeat; a queue may set its own",
        group="worker", unit="s", least=1, most=86400,
    )  # fmt: skip
    heartbeat_seconds: float = setting(
        5.0, "time between heartbeats", group="worker", unit="s", least=0.1, most=3600
    )
    poll_seconds: float = setting(
        1.0, "time between looks at empty queues (± 25 %); notifications come on top",
        group="worker", unit="s", least=0.05, most=3600,
    )  # fmt: skip
    drain_seconds: float = setting(
        30.0, "how long running tasks may go on after SIGTERM before they are given back",
        group="worker", unit="s", least=0, most=86400,
    )  # fmt: skip
    burst_due_seconds: float = setting(
        0.0,
        "with --burst: tasks that are due within this time (retries, delays) are worked on too",
        group="worker", unit="s", least=0, most=86400,
    )  # fmt: skip
    max_tasks: int = setting(
        0,
        "tasks after which a worker process drains and starts itself anew; 0 = never",
        group="worker",
        least=0,
        most=1_000_000_000,
    )
    max_memory_mb: int = setting(
        0, "memory above which a worker process drains and starts itself anew; 0 = any",
        group="worker", unit="MB", least=0, most=1_000_000,
    )  # fmt: skip
    max_crashes: int = setting(
        3,
        "a task that took its worker down this often becomes a dead letter",
        group="worker",
        least=1,
        most=1000,
    )
    probe_host: str = setting("127.0.0.1", "address of the worker's probes", group="worker")
    probe_port: int = setting(
        0, "port of the worker's probes and metrics; 0 = none", group="worker", least=0, most=65535
    )
    pod_uid: str = setting("", "uid of the pod, from the downward API", group="worker")
    pod_name: str = setting("", "name of the pod, from the downward API", group="worker")
    container: str = setting("", "name of the container", group="worker")

    promote_seconds: float = setting(
        0.5, "time between moves of due tasks to the queue; 0 = never", group="maintenance",
        unit="s", least=0, most=3600,
    )  # fmt: skip
    recover_seconds: float = setting(
        5.0, "time between searches for expired leases; 0 = never", group="maintenance",
        unit="s", least=0, most=3600,
    )  # fmt: skip
    schedule_seconds: float = setting(
        1.0, "time between looks for cron schedules whose slot has come; 0 = never",
        group="maintenance", unit="s", least=0, most=3600,
    )  # fmt: skip
    fold_seconds: float = setting(
        5.0, "time between foldings of statistics; 0 = never", group="maintenance",
        unit="s", least=0, most=3600,
    )  # fmt: skip
    expire_seconds: float = setting(
        30.0, "time between removals of what is past its keep time; 0 = never",
        group="maintenance", unit="s", least=0, most=86400,
    )  # fmt: skip
    partition_seconds: float = setting(
        600.0, "time between looks at the daily partitions; 0 = never", group="maintenance",
        unit="s", least=0, most=86400,
    )  # fmt: skip

    retention_seconds: float = setting(
        60.0, "time between removals of ended tasks that were kept long enough; 0 = never",
        group="maintenance", unit="s", least=0, most=86400,
    )  # fmt: skip
    keep_succeeded_seconds: float = setting(
        604_800.0, "how long a task that succeeded is kept; a queue may set its own",
        group="maintenance", unit="s", least=0, most=315_360_000,
    )  # fmt: skip
    keep_failed_seconds: float = setting(
        2_592_000.0, "how long a dead letter is kept; a queue may set its own",
        group="maintenance", unit="s", least=0, most=315_360_000,
    )  # fmt: skip
    keep_cancelled_seconds: float = setting(
        604_800.0, "how long a cancelled task is kept; a queue may set its own",
        group="maintenance", unit="s", least=0, most=315_360_000,
    )  # fmt: skip

    operator_namespaces: str = setting(
        "", "namespaces that the operator watches, comma-separated; empty = all", group="operator"
    )
    operator_tick_seconds: float = setting(
        2.0, "time between looks at the queues", group="operator", unit="s", least=0.1, most=300
    )
    operator_probe_host: str = setting("127.0.0.1", "address of its probes", group="operator")
    operator_probe_port: int = setting(
        8082, "port of the operator's probes and metrics", group="operator", least=1, most=65535
    )
    operator_lease: str = setting(
        "tidemill-operator", "Lease that lets one of several operators act", group="operator"
    )
    operator_lease_namespace: str = setting(
        "", "namespace of the Lease; empty = the operator's own, or the kubeconfig's",
        group="operator",
    )  # fmt: skip
    operator_metrics_port: int = setting(
        0, "port of external.metrics.k8s.io; 0 = off", group="operator", least=0, most=65535
    )
    operator_metrics_certs: str = setting("", "folder of its tls.crt and tls.key", group="operator")
    worker_image: str = setting("", "image of workers whose TaskQueue names none", group="operator")

    data_dir: str = setting(
        "",
        "where `tidemill up` keeps its Postgres; default: $XDG_DATA_HOME/tidemill",
        group="local",
    )
    workers: int = setting(
        0, "worker processes of `tidemill up`; 0 = as many as the queues need", group="local",
        least=0, most=256,
    )  # fmt: skip
    max_workers: int = setting(
        0, "most where they are scaled; 0 = one a CPU, 2 to 8", group="local", least=0, most=256
    )

    log_level: str = setting(
        "info", "least severe messages to log", group="logs",
        choices=("debug", "info", "warning", "error"),
    )  # fmt: skip
    log_format: str = setting(
        "auto",
        "`text` for people, `json` for machines; `auto` = text on a terminal",
        group="logs",
        choices=("auto", "text", "json"),
    )

    @classmethod
    def load(cls, environ: Mapping[str, str], **overrides: Any) -> Self:
        """Return the settings of `environ`, with `overrides` (from a command line) on top.

        Overrides that are None count as absent. Raises ConfigurationError naming the variable.
        """
        given: dict[str, Any] = {}
        for each in fields(cls):
            variable = variable_of(each.name)
            if (override := overrides.pop(each.name, None)) is not None:
                given[each.name] = checked(each, str(override), variable)
            elif environ.get(variable):
                given[each.name] = checked(each, environ[variable], variable)
        if overrides:
            raise ConfigurationError(f"no such setting: {', '.join(sorted(overrides))}")
        return cls(**given)

    def shown(self) -> dict[str, Any]:
        """Return all values with secrets masked: what may be printed or logged."""
        return {
            each.name: masked(getattr(self, each.name))
            if about(each).secret
            else getattr(self, each.name)
            for each in fields(self)
        }

    @property
    def direct_url(self) -> str:
        """The address for sessions that a transaction pooler cannot carry; may be empty."""
        if self.database_pooler == "none":
            return self.database_direct_url or self.database_url
        return self.database_direct_url
