"""The conductor: what writes compute's state for the API and the agents, and sees every launch to its end."""
