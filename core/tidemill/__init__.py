"""Tidemill: a task queue for Kubernetes with Postgres as its only broker.

What a user's module needs is here: `from tidemill import App, Context, Retry, Discard, Snooze`.
The names are resolved at first use, so that a command or a component that needs none of them
does not pay for pydantic and asyncpg.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidemill.app import App as App
    from tidemill.app import load_app as load_app
    from tidemill.client import Client as Client
    from tidemill.client.blocking import SyncClient as SyncClient
    from tidemill.client.http import HttpClient as HttpClient
    from tidemill.models import NewTask as NewTask
    from tidemill.retry import RetryPolicy as RetryPolicy
    from tidemill.sdk.context import Context as Context
    from tidemill.sdk.context import Stopped as Stopped
    from tidemill.sdk.handle import Handle as Handle
    from tidemill.sdk.middleware import Middleware as Middleware
    from tidemill.sdk.resources import Resource as Resource
    from tidemill.signals import Discard as Discard
    from tidemill.signals import Retry as Retry
    from tidemill.signals import Snooze as Snooze

__version__ = "0.1.0"

_HOMES = {
    "App": "tidemill.app",
    "Client": "tidemill.client",
    "Context": "tidemill.sdk.context",
    "Discard": "tidemill.signals",
    "Handle": "tidemill.sdk.handle",
    "HttpClient": "tidemill.client.http",
    "Middleware": "tidemill.sdk.middleware",
    "NewTask": "tidemill.models",
    "Resource": "tidemill.sdk.resources",
    "Retry": "tidemill.signals",
    "RetryPolicy": "tidemill.retry",
    "Snooze": "tidemill.signals",
    "Stopped": "tidemill.sdk.context",
    "SyncClient": "tidemill.client.blocking",
    "load_app": "tidemill.app",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only when a name is asked for

    return getattr(import_module(_HOMES[name]), name)
