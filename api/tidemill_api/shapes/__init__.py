"""Core's values as JSON: pure functions from a value to what the answer shows, by subject.

An error is shown twice: `last_error` (in a history event `error`) is one line of text,
`Type: message`, and `last_error_detail` (`error_detail`) the object that the worker reported.
Both are null where there is none. No key is ever left out.
"""
