"""A FastAPI service that enqueues, and answers how far a task is.

Where TIDEMILL_DATABASE_URL names a database with the schema in it (`tidemill migrate`), and
fastapi and uvicorn are installed:

    tidemill worker examples.fastapi_shop:app
    uvicorn examples.fastapi_shop:web
    curl -s localhost:8000/orders -H 'content-type: application/json' \
         -d '{"to": "ada@example.com", "cents": 500}'

The tasks' app and the web app live in one module here; in a project of your own let both import
the module of the tasks.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

from tidemill import App
from tidemill.errors import IdempotencyConflict, QueueFull, TaskNotFound

app = App()


@app.task(queue="mail", max_retries=8)
async def send_receipt(to: str, cents: int) -> str:
    """Pretend to send a receipt."""
    return f"receipt of {cents / 100:.2f} sent to {to}"


@asynccontextmanager
async def lifespan(_web: FastAPI) -> AsyncGenerator[None]:
    """Close the connections when the service ends. They are opened at the first enqueue."""
    async with app.client:
        yield


web = FastAPI(lifespan=lifespan)


class Order(BaseModel):
    """What somebody ordered."""

    to: str
    cents: int


@web.post("/orders", status_code=202)
async def place_order(
    order: Order, idempotency_key: Annotated[str | None, Header()] = None
) -> dict[str, Any]:
    """Enqueue the receipt. A client that sends its Idempotency-Key again gets the same task."""
    sender = send_receipt.using(idempotency_key=idempotency_key)
    try:
        handle = await sender.enqueue(to=order.to, cents=order.cents)
    except IdempotencyConflict as error:
        raise HTTPException(409, str(error)) from error
    except QueueFull as error:
        headers = {"Retry-After": f"{error.retry_after:.0f}"}
        raise HTTPException(429, str(error), headers) from error
    return {"task": handle.id, "new": handle.created}


@web.get("/orders/{task_id}")
async def look_at(task_id: UUID) -> dict[str, Any]:
    """Tell how far the receipt is."""
    try:
        task = await app.client.get(task_id)
    except TaskNotFound as error:
        raise HTTPException(404, str(error)) from error
    return {"status": task.status, "result": task.result, "progress": task.progress}
