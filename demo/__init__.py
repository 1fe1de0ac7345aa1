"""The demo: forward-only learning next to backpropagation, in two minutes.

Run it with `python -m demo`. What is set here must be set before Keras is
imported.
"""

import os

# TensorFlow is the fastest of the three on a few CPU cores.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if os.environ["KERAS_BACKEND"] == "torch":
    # On 8 x 8 pixels threads wait for each other longer than they work.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# TensorFlow counts the memory of a CPU with this allocator only.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
