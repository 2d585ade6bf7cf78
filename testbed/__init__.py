"""A one-node Kubernetes for machines without a Docker engine: `python3 -m testbed --help`."""
