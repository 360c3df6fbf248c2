"""The choice of a pool for a new volume."""
