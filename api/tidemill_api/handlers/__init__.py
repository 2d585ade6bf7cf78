"""Handlers: parse, call, answer. What they share is in `Api`."""
