"""Keep the local volumes usable: wipe those whose claim is gone and offer them again.

Nothing in Kubernetes does this for `local` volumes, and a cluster in which charts come and
go would soon have none left. It runs as a background process of its own.
"""

from __future__ import annotations

import http.client
import shutil
import time
from typing import TYPE_CHECKING, Any

from testbed import objects
from testbed.api import Api
from testbed.errors import StepError

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster
    from testbed.paths import State

URL = "/api/v1/persistentvolumes"
INTERVAL_SECONDS = 2.0


def name(number: int) -> str:
    """Return a volume's name."""
    return f"local-{number}"


def prepare(cluster: Cluster, state: State) -> list[objects.Manifest]:
    """Make the volumes' folders and return their manifests."""
    manifests: list[objects.Manifest] = []
    for number in range(objects.VOLUMES):
        folder = state.volumes / name(number)
        _wipe(folder)
        manifests.append(objects.volume(cluster, name(number), folder))
    return manifests


def keep(cluster: Cluster, state: State) -> None:
    """Recycle every 2 s until the process is stopped; says what it does."""
    api = Api.of(cluster, state)
    while True:
        try:
            for volume in recycle_once(api, state):
                print(f"recycled {volume}", flush=True)
        except (OSError, http.client.HTTPException) as error:
            print(f"no answer from the API server: {error}", flush=True)
        time.sleep(INTERVAL_SECONDS)


def recycle_once(api: Api, state: State) -> list[str]:
    """Wipe and free each of our volumes that is Released; return their names."""
    code, answer = api.request("GET", URL)
    if code != http.client.OK:
        raise StepError("volumes", f"the API server answers {code}: {answer}")
    done: list[str] = []
    for volume in released(answer["items"]):
        _wipe(state.volumes / volume)
        api.request("PATCH", f"{URL}/{volume}", {"spec": {"claimRef": None}})
        done.append(volume)
    return done


def released(volumes: list[dict[str, Any]]) -> list[str]:
    """Return the names of those of our volumes whose claim was deleted."""
    own = {name(number) for number in range(objects.VOLUMES)}
    return [
        volume["metadata"]["name"]
        for volume in volumes
        if volume["metadata"]["name"] in own and volume["status"].get("phase") == "Released"
    ]


def _wipe(folder: Path) -> None:
    """Make the folder new: its owner and mode too, which the last `fsGroup` changed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
