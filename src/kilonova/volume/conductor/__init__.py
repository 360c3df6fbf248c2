"""The volume conductor: chooses back ends, sends them tasks, takes their results."""
