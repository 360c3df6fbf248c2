"""What tests and demonstrations of a whole cloud are made of: engines, clusters of processes, virtual hosts."""
