"""EC2's query protocol: parameters of a form or a query in, XML out, both by Amazon's own description of the service."""
