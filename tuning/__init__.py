"""Runs through Ray Tune."""
