"""Network: addresses, ports and filters, with Neutron's v2.0 REST API, and the agent that shows them on a host."""
