"""The parts of `tidemill.App`: what turns a Python function into a task type."""
