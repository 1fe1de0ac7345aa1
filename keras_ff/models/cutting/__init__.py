"""Where a model is cut into local blocks, and what the blocks cost."""
