"""Networks of a user's own: their layers as slots, and what may take their place."""
