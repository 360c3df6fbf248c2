"""Volumes as files of a host, exported by NBD."""
