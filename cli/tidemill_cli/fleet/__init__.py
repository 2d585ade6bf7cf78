"""Several processes that serve one port: `tidemill api --processes`."""
