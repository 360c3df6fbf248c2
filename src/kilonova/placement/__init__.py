"""Placement: which consumer holds which resources. The claim ledger of the scheduler, with upstream's REST API."""
