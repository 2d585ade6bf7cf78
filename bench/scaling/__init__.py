"""Scaling: what the operator does on a real API server, and on a whole cluster.

With the API server alone:

    plane      an API server without nodes, an operator and a database
    watching   what a watch of the API server tells, each event with its time
    latency    from an enqueue to the change of the replicas
    updown     scale-downs in great number, with real workers on this machine
    kubelet    a worker process for each pod
    nursery    where these come from
    loads      what goes up and down
    downs      queues whose workers come and go all the time
    busy       pods that were stopped with tasks in hand
    manifests  the objects that are measured
    core_api   pods through the API server

And on a whole cluster:

    whole      the parts, in one installation
    cluster    the chart in a namespace of the bench's own
    bare       what Kubernetes itself needs to start pods
    starts     one task to a queue without workers
    burst      a hundred tasks to such a queue
    steady     a trickle
    killed     pods deleted by force
    node       scale-downs
"""
