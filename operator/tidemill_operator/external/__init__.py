"""Serves external.metrics.k8s.io, so that an HPA can scale a TaskQueue in the mode External.

    figures     what the metrics say: read from the database when asked, never from memory
    documents   the answers as values: discovery, lists of values, what is refused
    frontproxy  who asks: the API server's certificate and what it says of its client
    access      whether that client may: asked of the API server
    serving     the HTTPS server, with a certificate that may change

Off by default. It works on an operator that stands by too: it only reads.
"""
