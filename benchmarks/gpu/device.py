"""What machine it is, and how fast it multiplies and copies."""

import os
import time


def run(session):
    import jax
    import keras

    from benchmarks import rates
    from benchmarks.measure import machine

    session.record(
        "device",
        devices=[str(device) for device in jax.devices()],
        platform=jax.default_backend(),
        kind_of_device=jax.devices()[0].device_kind,
        machine=machine.describe(),
        keras=keras.__version__,
        flags=os.environ.get("XLA_FLAGS", ""),
    )
    size = 256 if session.dry else 8192
    for dtype in ("bfloat16", "float32"):
        rate = rates.matrix_product_gflops(size, dtype, repeats=10)
        session.record("matrix", dtype=dtype, size=size, tflops=rate / 1e3)
    numbers = jax.numpy.ones(2**20 if session.dry else 2**29, "float32")
    copy = jax.jit(lambda x: x + 1)
    copy(numbers).block_until_ready()
    start = time.perf_counter()
    for _ in range(5):
        copy(numbers).block_until_ready()
    seconds = (time.perf_counter() - start) / 5
    session.record(
        "copy",
        gib=numbers.nbytes / 2**30,
        gb_s=2 * numbers.nbytes / seconds / 1e9,
    )
