"""One run by several processes, as `torchrun` starts them."""

import os
import sys

import keras

import keras_ff
from keras_ff.models.trainers import process_index


def start():
    """Joins the processes of `torchrun`, if it started this one.

    Only the first one prints.
    """
    if keras.backend.backend() != "torch" or not several():
        return
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group()
    if not writes():
        sys.stdout = open(os.devnull, "w")


def several():
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


def writes():
    """Whether this process is the one that writes files."""
    return process_index() == 0


def check(model):
    """Ends the program if processes would train models of their own."""
    local = isinstance(model, keras_ff.models.ForwardOnlyModel)
    supervised = isinstance(model, keras_ff.models.DeepSupervisionModel)
    if several() and not (local or supervised):
        raise SystemExit(
            "Several processes train models with local losses together. "
            f"Received: a {type(model).__name__}. Start one process."
        )
