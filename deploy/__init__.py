"""Bring Tidemill onto a cluster of one's own: `python3 -m deploy run`, `… down`.

With a Docker engine the cluster is kind; without one, on Linux as root, the project's test bed.
Standard library only, so that it runs before anything is installed.
"""
