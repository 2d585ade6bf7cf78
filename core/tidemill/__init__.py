"""Tidemill: a task queue for Kubernetes with Postgres as its only broker."""

__version__ = "0.1.0"
