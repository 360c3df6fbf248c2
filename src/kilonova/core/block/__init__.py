"""Disks and images as files: the tools that make and read them, under limits, and the daemons that serve them."""
