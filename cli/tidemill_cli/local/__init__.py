"""Everything on one machine: an embedded Postgres and the processes of `tidemill up`."""
