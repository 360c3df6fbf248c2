"""The HTTP layer of every service: route tables, authentication, microversions, errors, paging, clients."""
