"""Images a second of ResNet-17 in `fit`, and the share of the matrix rate."""

import statistics
import time

from benchmarks.gpu import resnet17
from benchmarks.gpu import session as sessions


def run(session):
    import numpy as np

    import keras_ff
    from benchmarks import rates
    from benchmarks.training_rate import _training_flops

    sessions.setup()
    size = 256 if session.dry else 8192
    matrix = rates.matrix_product_gflops(size, "bfloat16", repeats=10)
    session.record("matrix", dtype="bfloat16", tflops=matrix / 1e3)
    steps = 100 if session.real else 3
    batch_size = session.batch_size(resnet17.BATCH_SIZE)
    images = steps * batch_size
    generator = np.random.default_rng(0)
    import keras

    data = keras_ff.datasets.ArrayBatches(
        (
            keras.ops.convert_to_tensor(
                generator.integers(0, 256, (images, 32, 32, 3), "uint8")
            ),
            keras.ops.convert_to_tensor(
                generator.integers(0, 10, images, "int32")
            ),
        ),
        batch_size,
        seed=0,
    )
    models, seconds = {}, {}

    def visit(method):
        start = time.perf_counter()
        models[method].fit(data, verbose=0, shuffle=False)
        seconds[method].append(time.perf_counter() - start)
        flops = _training_flops(models[method], local=method != "backprop")
        # The first visit compiles.
        median = statistics.median(seconds[method][1:] or seconds[method])
        session.record(
            "rate",
            method=method,
            visits=seconds[method],
            images_per_second=images / median,
            gflop_of_an_image=flops / 1e9,
            share_of_matrix_rate=images * flops / median / matrix / 1e9,
            peak_memory_gib=sessions.peak_memory_gib(),
        )

    for method in ("caw", "backprop"):
        # There is nothing to validate on.
        models[method] = resnet17.build(session, method, "training")
        seconds[method] = []
        visit(method)
    for _ in range(3 if session.real else 1):
        for method in models:
            if session.left() > 5:
                visit(method)
