"""Placement: who holds which resources. The claim ledger of the scheduler, with upstream's REST API."""
