"""One service through its HTTP API, on SQLite, in this process."""
