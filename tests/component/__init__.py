"""An agent, a conductor, a scheduler over the memory bus; the database and the bus on their engines; tools on files."""
