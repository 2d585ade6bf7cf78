"""Benchmarks: Tidemill beside the limit that its own SQL sets, in the same run.

    target     a scratch database on a server; counts WAL and statements, fills and empties queues
    server     where that server comes from: a private one, or --database-url
    pgbench    the limit: our statement files, driven by pgbench
    measure    samples, medians, ratios: pure
    case       what is measured: one case, one way of doing the work
    drain      cases that claim and finish
    enqueue    cases that enqueue
    rounds     runs limit and cases in turn, so that a noisy machine is noisy to both
    report     what is printed

`docs/benchmarks.md` says what each figure means.
"""
