"""The values that everything speaks of: operations, transitions, architectures, their notations. No torch, no Ray."""
