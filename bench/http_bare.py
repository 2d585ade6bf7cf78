"""What HTTP alone costs: an aiohttp handler that reads JSON and answers 201, without a database."""

import argparse
import asyncio
from typing import Any

from aiohttp import web

from tidemill_api.loops import factory


async def create(request: web.Request) -> web.Response:
    """Answer what came."""
    task: Any = await request.json()
    return web.json_response({"id": "0", "task": task}, status=201)


async def ready(_: web.Request) -> web.Response:
    """Say that requests are answered."""
    return web.Response()


def main() -> None:
    """Serve on the port given."""
    parser = argparse.ArgumentParser(prog="bench.http_bare")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--uvloop", action="store_true", help="on the loop that the API has")
    given = parser.parse_args()
    port: int = given.port
    loop = factory()() if given.uvloop else asyncio.new_event_loop()
    app = web.Application()
    app.router.add_post("/api/tasks", create)
    app.router.add_get("/readyz", ready)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=loop)


if __name__ == "__main__":
    main()
