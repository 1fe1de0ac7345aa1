"""Trains an exported model where there is neither Keras nor a backend.

`python train_without_keras.py FOLDER DATA RESULT`: one step a batch of DATA,
then RESULT has what the device says of them.
"""

import sys

import numpy as np


class Refuse:
    def find_spec(self, name, path=None, target=None):
        name = name.partition(".")[0]
        if name in ("keras", "tensorflow", "jax", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Refuse())

import keras_ff  # noqa: E402

folder, data, result = sys.argv[1:]
data = np.load(data)
trainer = keras_ff.device.LiteRTTrainer(folder)
size = trainer.batch_size
logs = [
    trainer.train_on_batch(
        *(data[name][i : i + size] for name in ("x", "y", "sample_weight"))
    )
    for i in range(0, len(data["x"]), size)
]
trainer.epoch += 1
trainer.save()
some = data["x"][: size + 1], data["y"][: size + 1]
np.savez(
    result,
    losses=[log["loss"] for log in logs],
    prediction=trainer.predict(some[0]),
    goodness=trainer.goodness(some[0]),
    evaluated=[*trainer.evaluate(*some).values()],
)
