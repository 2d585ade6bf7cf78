"""Who may do what over HTTP: bearer tokens, their scopes and queues."""
