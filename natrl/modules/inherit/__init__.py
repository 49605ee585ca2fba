"""The weights that replacements begin with, from those that were trained."""
