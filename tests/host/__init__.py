"""Root: namespaces, virtual hosts, guests that boot."""
