"""The command line: `tidemill up`, `api`, `worker`, `operator`, `migrate`, ..."""
