"""One forward pass of a user's network, recorded: layers, tensors and what leads where."""
