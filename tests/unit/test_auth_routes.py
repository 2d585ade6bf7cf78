"""What each route asks of tokens."""

from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.routes import ENDPOINTS

OPEN = {"/", "/health", "/healthz", "/readyz", "/api/version", "/openapi.json"}


def test_only_probes_versions_and_the_document_are_open() -> None:
    assert {each.path for each in ENDPOINTS if each.scope is Scope.OPEN} == OPEN


def test_looking_asks_for_read_and_nothing_that_changes_does() -> None:
    for each in ENDPOINTS:
        if each.path not in OPEN:
            assert (each.scope is Scope.READ) == (each.method == "GET"), each.name


def test_all_that_deletes_is_for_admins_but_a_worker_that_leaves() -> None:
    deletes = {each.name: each.scope for each in ENDPOINTS if each.method == "DELETE"}
    assert deletes.pop("deleteWorker") is Scope.WORK
    assert set(deletes.values()) == {Scope.ADMIN}


def test_a_route_of_a_queue_is_limited_by_its_path() -> None:
    by_path = {each.path for each in ENDPOINTS if each.limit is Limit.PATH}
    assert by_path == {each.path for each in ENDPOINTS if each.path.startswith("/api/queues/")}
