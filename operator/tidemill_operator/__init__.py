"""Watches TaskQueues and sizes each queue's workers from what waits, runs and arrives.

Who does what:

    watch       kopf: feeds the view from the cluster's watches
    view        what was seen of the cluster
    deaths      which worker pods have died
    queues      what was read from the database, all queues at once
    reconcile   the loop: one full picture a turn
    leading     which of several operators acts (leadership: judged; standby: what others keep)
    departures  what remains to be done for a TaskQueue that is gone
    member      one TaskQueue's part of a turn
    sizing      what decisions are made from (connections: those left; course: what they taught)
    decision    how many workers, a pure function (need: its rules; policy, memory: its inputs)
    simulation  the decision played over loads
    rivals      who else sets the replicas
    retiring    takes workers away (retirement: which; pods: what Kubernetes would take)
    targets     the Deployment behind a TaskQueue (resources: its builder)
    status      the TaskQueue's status as a value (report: writing it, events, metrics)
    external    external.metrics.k8s.io for HPAs, off by default
    kube        the Kubernetes API, errors translated (login: the account)

Rights that it needs, in each watched namespace or in the whole cluster:

    tidemill.dev         taskqueues          get list watch
    tidemill.dev         taskqueues/status   get update patch
    apps                 deployments         get list watch create patch
    apps                 deployments/scale   get update patch
    apps                 replicasets         get list watch
    (core)               pods                get list watch patch
    (core)               secrets             get
    (core)               events              create patch
    coordination.k8s.io  leases              get create update (in its own namespace)

and where it serves external.metrics.k8s.io, the ClusterRole system:auth-delegator and, in
kube-system, the Role extension-apiserver-authentication-reader.
"""
