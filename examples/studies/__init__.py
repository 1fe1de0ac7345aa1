"""The studies of `examples/ablation.py`, one file each.

A study has `LEARNING_RATES` (first and last), `variants()`, a dictionary from
names to what differs, `build(variant, info, flags)`, which makes a compiled
model, and `prepare(variant, model, train)`, called before the training.
"""
