"""The studies of `examples/ablation.py`, one file each.

A study has `LEARNING_RATES` (first and last of a cosine, or `None` if its
optimizer has a schedule), `variants()`, a dictionary from names to what
differs, `build(variant, info, flags, steps)`, which makes a compiled model for
so many steps, and `prepare(variant, model, train)`, called before the
training. It may have `load(variant, flags, seed)` for batches other than those
of `keras_ff.datasets.load`.
"""
