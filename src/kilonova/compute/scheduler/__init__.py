"""The scheduler: filters, weighers, one host and alternates for each server, with the reasons."""
