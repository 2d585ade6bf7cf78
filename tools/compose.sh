#!/bin/sh
# docker compose, or one line that says what is missing.
set -eu
cd "$(dirname "$0")/.."
missing() {
    echo "make: $1; without it: \`make run\` (this machine) or \`make run-k8s\`" >&2
    exit 1
}
command -v docker > /dev/null || missing "this needs Docker, and there is no docker command"
docker compose version > /dev/null 2>&1 || missing "this needs Docker's compose plugin"
case $1 in
    config) ;;
    *) docker info > /dev/null 2>&1 || missing "this needs a Docker engine, and none answers" ;;
esac
exec docker compose "$@"
