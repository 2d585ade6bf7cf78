"""What a scaler would do to a load: the operator's own decision, and models of others beside it.

loads     tasks as they come: steady, burst, sawtooth, cron, noisy
model     a queue, its workers, and time that passes in small steps
scalers   who sets the replicas: the decision, an HPA, KEDA with an HPA
play      a load through a scaler, and the figures of it
"""
