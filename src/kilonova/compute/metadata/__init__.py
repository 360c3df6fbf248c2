"""The metadata service behind 169.254.169.254: what a guest is told when it asks."""
