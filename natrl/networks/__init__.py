"""natrl."""
