"""Handlers of `isolation="process"`: each runs in a process that may die, hang or eat memory.

    worker  --+--  guard  --  handler process  --  whatever a handler starts
              |      ^              |
              |      +-- control: "limit", "term", "kill"; how it ended (guard.py)
              +-- frames: tasks and outcomes, progress, log records (wire.py)

A handler process is started fresh, never forked from the worker: a copy of a process with threads
is broken. The guard is a small program of the standard library that forks the handler process
before anything else is loaded. It measures memory, ends the handler process and everything that
comes from it, and says how it ended. When the worker goes, whatever kills it, the control channel
closes and the guard ends all the same: nothing outlives a worker.

    pool     hands each task a process that is free, or a new one; ends those long idle
    process  one of them, as the worker sees it: start, run, stop in steps
    program  starts a guard, holds the two channels
    death    how a process ended, in words
    origin   how a new process finds the handlers that this one has
    outcome  what a handler returned or raised, as a frame
    records  log records as frames: the worker's logging prints them
    child    the handler process: runs one task after the other
    job      the tasks that arrive there
    link     what a `Context` in a handler process asks of the worker

Nothing is pickled: frames are JSON, and a handler process finds its handlers by import.
"""
