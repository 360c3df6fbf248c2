"""Compute: Nova's API, and the components that launch servers."""
