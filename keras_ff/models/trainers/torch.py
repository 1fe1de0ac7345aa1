import keras
import numpy as np
import torch

from keras_ff.models.trainers.local_step import LocalStep


class LocalTrainer(LocalStep):
    """The local step on PyTorch: a layer's graph is freed before the next."""

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        others = self.non_trainable_variables
        before = [v.value.clone() for v in others]
        with torch.no_grad():
            batch = self._local_pass(
                x, y, sample_weight, True, self._differentiate
            )
            logs = self._log_batch(batch)
            if self._statistics.is_sound():
                gradients = self._in_order(batch.gradients)
                self.optimizer.apply(gradients, self.trainable_variables)
            else:
                for variable, value in zip(others, before):
                    variable.assign(value)
            return logs

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with torch.no_grad():
            return self._log_batch(self._local_pass(x, y, sample_weight, False))

    def _differentiate(self, layer, objective, scale, after):
        variables = [v.value for v in layer.trainable_variables]
        with torch.enable_grad():
            loss, outputs = objective()
            gradients = torch.autograd.grad(
                loss * scale, variables, allow_unused=True
            )
        gradients = [
            torch.zeros_like(v) if g is None else g
            for v, g in zip(variables, gradients)
        ]
        return keras.tree.map_structure(torch.Tensor.detach, outputs), gradients

    def _seed_epoch(self, seed):
        # Keras's dropout draws from PyTorch's global generator, whose state
        # no checkpoint keeps.
        torch.manual_seed(
            int(np.random.SeedSequence(seed).generate_state(1)[0])
        )


def process_index():
    """Which one of the processes this is that train a model together."""
    group = torch.distributed
    if group.is_available() and group.is_initialized():
        return group.get_rank()
    return 0
