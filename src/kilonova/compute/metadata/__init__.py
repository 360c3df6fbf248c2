"""The metadata service behind 169.254.169.254: what a guest can read about itself."""
