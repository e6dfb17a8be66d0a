"""A database cluster: who is the primary, what stands against a change of that, and the change. No Salt in here."""
