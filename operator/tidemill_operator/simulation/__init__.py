"""What a scaler would do to a load: the operator's own decision, and models of others beside it.

loads     tasks as they come: steady, burst, sawtooth, cron, noisy (trace: from a file)
model     a queue and its workers, from event to event (workers: one; readings: what is measured)
scalers   the operator, by its own decision and its own choice of who goes
others    models of an HPA, and of KEDA with an HPA
play      a load through a scaler
report    the figures of it (plot: the picture)
standard  what the documentation compares
"""
