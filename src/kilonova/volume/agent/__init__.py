"""The volume agent: the back ends of a machine; bus alone, no database."""
