"""Numbers, not tests: `python -m benchmarks [NAME…]` runs them, `make bench` those that fit into 15 minutes."""
