"""Everything that is pinned. A new version here is built into a new folder of the cache."""

# 1.34 is the newest Kubernetes whose kubelet takes cgroup v1 without further settings.
KUBERNETES = "v1.34.4"
COREDNS = "v1.13.1"  # as dns/go.mod requires it
HELM = "v4.3.1"
HELM3 = "v3.22.0"

PAUSE_IMAGE = "localhost/pause:1"
BASE_IMAGE = "localhost/base:1"
