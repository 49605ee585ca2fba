"""The demo: a policy among trained architectures, a trained network of one's own, and the papers' cells."""
