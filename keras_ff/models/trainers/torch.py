import gc
from typing import Any

import keras
import numpy as np
import torch

from keras_ff.models.trainers.local_step import LocalStep
from keras_ff.models.trainers.torch_group import TorchGroup
from keras_ff.models.trainers.torch_processes import TorchProcesses
from keras_ff.models.trainers.torch_stages import TorchStages
from keras_ff.type_aliases import Data


class LocalTrainer(TorchProcesses, TorchStages, LocalStep):
    """The local step on PyTorch: a layer's graph is freed before the next."""

    @torch.no_grad()
    def train_step(self, data: Data) -> Any:
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        others = self.non_trainable_variables
        before = _copies(others)
        learned = self._learn(data)
        self._apply(learned)
        _restore_unless(learned.kept, others, before)
        return learned.logs

    @torch.no_grad()
    def test_step(self, data: Data) -> Any:
        return self._pass(data)

    def _apply(self, learned):
        trained = self.trainable_variables
        if _branches_freely(learned.sound):
            if learned.sound:
                self.optimizer.apply(learned.gradients, trained)
            return
        changed = trained + self.optimizer.variables
        before = _copies(changed)
        self.optimizer.apply(learned.gradients, trained)
        _restore_unless(learned.sound, changed, before)

    def _differentiate(self, part, objective, scale, before):
        variables = [v.value for v in part.trainable_variables]
        with torch.enable_grad():
            loss, outputs = objective()
            gradients = torch.autograd.grad(
                loss * scale, variables, allow_unused=True
            )
        outputs = keras.tree.map_structure(_detached, outputs)
        del loss
        # `keras.tree` holds what it looked at in cycles (docs/upstream.md).
        gc.collect(0)
        gradients = [
            torch.zeros_like(v) if g is None else g
            for v, g in zip(variables, gradients)
        ]
        return outputs, gradients

    def _seed_epoch(self, seed):
        # Keras's dropout draws from PyTorch's global generator, whose state
        # no checkpoint keeps. Processes have samples, and masks, of their own.
        seed = [*seed, process_index()]
        torch.manual_seed(
            int(np.random.SeedSequence(seed).generate_state(1)[0])
        )


def process_index():
    """Which one of the processes this is that train a model together."""
    group = TorchGroup.joined()
    return group.index if group else 0


def _detached(x):
    return None if x is None else x.detach()


def _branches_freely(condition):
    """Whether Python may look at a tensor without waiting for a device."""
    return condition.device.type == "cpu"


def _copies(variables):
    return [variable.value.clone() for variable in variables]


def _restore_unless(condition, variables, values):
    if _branches_freely(condition) and condition:
        return
    for variable, value in zip(variables, values):
        new = variable.value
        torch.where(condition, new, value, out=new)
