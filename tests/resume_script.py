"""Trains with BackupAndRestore and kills itself where it is told to.

Run by test_resume.py: `resume_script.py DATA BACKUP_DIR OUTPUT [KILL]`, with
KILL `EPOCH` (before that epoch) or `EPOCH:BATCH` (after that batch).
"""

import os
import signal
import sys

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_ff

data, backup_dir, output = sys.argv[1:4]
kill = [int(n) for n in sys.argv[4].split(":")] if len(sys.argv) > 4 else None
keras.utils.set_random_seed(7)


class Killer(keras.callbacks.Callback):
    epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if kill == [epoch]:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, batch, logs=None):
        if kill == [self.epoch, batch]:
            os.kill(os.getpid(), signal.SIGKILL)


model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        keras.layers.RandomFlip(),
        keras_ff.layers.CAWConv2D(10, 3, num_classes=10, strides=2),
        keras_ff.layers.LocalBlock(
            [
                keras.layers.Conv2D(8, 2),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.Dropout(0.3),
            ],
            keras_ff.layers.GoodnessProjection(10),
        ),
    ],
    contribution=keras_ff.contributions.LossAware("training"),
)
model.compile(optimizer=keras.optimizers.AdamW(0.01))
if data == "arrays":
    digits = load_digits()
    fit_arguments = dict(
        x=digits.images[:300, ..., None].astype("float32") / 16,
        y=digits.target[:300],
        batch_size=64,
    )
else:
    train, validation, _ = keras_ff.datasets.load(
        "digits", batch_size=256, augment=True
    )
    fit_arguments = dict(x=train, validation_data=validation)
model.fit(
    **fit_arguments,
    epochs=4,
    verbose=0,
    callbacks=[
        keras.callbacks.BackupAndRestore(backup_dir, double_checkpoint=True),
        Killer(),
    ],
)
np.savez(
    output,
    *[keras.ops.convert_to_numpy(v) for v in model.variables],
    *[keras.ops.convert_to_numpy(v) for v in model.optimizer.variables],
)
