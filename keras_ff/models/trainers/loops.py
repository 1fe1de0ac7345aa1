class Loops:
    """Keras's loops, which on this backend lose nothing when interrupted."""
