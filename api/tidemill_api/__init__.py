"""The HTTP API: thin over core's store. `server.serve` runs it; `app.build` mounts it elsewhere."""
