"""Where volumes have their bytes: one driver for each kind of back end."""
