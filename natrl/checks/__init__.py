"""What users give, and whether it can be: ranges of settings, arguments, and errors in one line."""
