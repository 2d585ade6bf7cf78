"""Tasks that only take time. This file stands alone: a ConfigMap brings it into pods as it is."""

import asyncio

from tidemill import App

app = App()


@app.task
async def nap(seconds: float) -> None:
    """Take so long."""
    await asyncio.sleep(seconds)
