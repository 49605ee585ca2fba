"""Training and measuring any torch module."""
