"""The volume service: Cinder's API v3, its conductor, its agents and their back ends."""
