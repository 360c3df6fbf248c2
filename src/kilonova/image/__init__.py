"""Image: what a guest boots from. Registered, uploaded, inspected and kept in a store, with Glance's v2 REST API."""
