"""Compute: Nova's API and what launches servers behind it."""
