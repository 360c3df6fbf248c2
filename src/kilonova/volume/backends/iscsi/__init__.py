"""Volumes as files of a host, exported by iSCSI."""
