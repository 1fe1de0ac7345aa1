"""Loads a model, predicts, trains on and saves what came out.

Run by test_model_saving.py with another KERAS_BACKEND:
`continue_training.py DATA.npz MODEL.keras`; writes MODEL.keras.BACKEND.npz.
"""

import sys

import keras
import numpy as np

from keras_ff.models import load_model

data_path, path = sys.argv[1:]
with np.load(data_path) as data:
    x, y = data["x"], data["y"]
model = load_model(path)
results = {"before": model.predict(x, verbose=0)}
model.fit(x, y, batch_size=8, epochs=2, verbose=0)
results["after"] = model.predict(x, verbose=0)
results["contribution"] = model.contribution.weights
results["iterations"] = int(model.optimizer.iterations)
results["epoch"] = model.epoch
np.savez(f"{path}.{keras.backend.backend()}.npz", **results)
