"""A model's layers in stages that work at the same time."""
