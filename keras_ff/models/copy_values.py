from keras import ops


def copy_values(originals, copies):
    """Gives the variables of a copy the values of those that it is a copy of.

    Args:
        originals, copies: lists of variables, of the same number.
    """
    if sorted(v.path for v in originals) == sorted(v.path for v in copies):
        # A layer that is made quantized makes its variables in another order.
        originals, copies = (
            sorted(variables, key=lambda v: v.path)
            for variables in (originals, copies)
        )
    for variable, original in zip(copies, originals, strict=True):
        variable.assign(ops.convert_to_numpy(original))
