"""Amazon's EC2 API on the same servers, images, networks and keys, through the other services' public APIs alone."""
