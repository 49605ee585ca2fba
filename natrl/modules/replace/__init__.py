"""What takes the place of a layer, where that is allowed, and what it costs."""
