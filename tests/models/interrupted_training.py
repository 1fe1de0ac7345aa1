"""Interrupts `fit` many times and ends, by itself, as a program does."""

import os
import random
import signal
import threading

import keras
import numpy as np
from tiny_models import data
from tiny_models import dense_model
from tiny_models import numpy

NUMBER = 12

signal.signal(signal.SIGINT, signal.default_int_handler)
x, y = data(320)
model = dense_model()
model.compile(optimizer="adam")
model.fit(x, y, batch_size=8, verbose=0)
delays = random.Random(5)
found = 0
for _ in range(NUMBER):
    timer = threading.Timer(
        0.05 + 0.15 * delays.random(), os.kill, (os.getpid(), signal.SIGINT)
    )
    try:
        timer.start()
        model.fit(x, y, batch_size=8, epochs=10**6, verbose=0)
    except KeyboardInterrupt:
        found += 1
    timer.join()
    for variable in model.variables + model.optimizer.variables:
        assert np.isfinite(numpy(variable)).all(), variable.path
keras.backend.clear_session()
print(found, "interrupts")
