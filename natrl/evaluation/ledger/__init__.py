"""What was paid for once is never paid for again."""
