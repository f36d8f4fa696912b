"""The search command: its flags, what they ask for, and what it tells."""
