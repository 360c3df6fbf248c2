"""Network: addresses, ports and filters, with Neutron's v2.0 REST API, and the agent that applies them on a host."""
