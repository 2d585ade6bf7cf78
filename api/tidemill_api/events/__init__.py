"""`GET /api/events`: one reader of figures and tasks, and a bounded buffer for each client."""
