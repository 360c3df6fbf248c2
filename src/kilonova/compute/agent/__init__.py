"""The compute agent: takes builds from the conductor and makes guests of them. Touches no database."""
