"""Scaling: what the operator does on a real API server, and on a whole cluster.

plane      an API server without nodes, an operator and a database
watching   what a watch of the API server tells, each event with its time
latency    from an enqueue to the change of the replicas
"""
