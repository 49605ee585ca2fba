"""What a run leaves: its settings, the names of its files, and how they are read."""
