"""What this package needs of Keras that Keras does not promise to keep.

Each name is used here only, so that another Keras is one file's matter;
`tests/test_keras_private.py` names them. They are those of `keras>=3.15,<3.17`.
"""

import inspect
import types
from typing import TYPE_CHECKING
from typing import Any

import keras
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.backend.common.masking import get_keras_mask
from keras.src.backend.common.masking import set_keras_mask
from keras.src.distribution.distribution_lib import Distribution as Distribution
from keras.src.models.functional import Functional
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.trainers import trainer
from keras.src.trainers.data_adapters import get_data_adapter
from keras.src.trainers.data_adapters import is_tf_dataset as is_tf_dataset
from keras.src.trainers.data_adapters.data_adapter import (
    DataAdapter as DataAdapter,
)
from keras.src.trainers.epoch_iterator import EpochIterator
from keras.src.tree import register_tree_node_class

from keras_ff.type_aliases import Tensor

if TYPE_CHECKING:
    # What mixins for models find beside their own.
    ModelMixin = keras.Model
else:
    ModelMixin = object


def scope_values():
    """What variables are in the innermost `keras.StatelessScope`.

    Returns:
        Dict from their identities to values, which the scope reads and writes.
    """
    return get_global_attribute("stateless_scope").state_mapping


def like_model(constructor):
    """A constructor that Keras takes for `keras.Model`'s own.

    Keras saves, loads and clones a graph by a constructor with `*args,
    **kwargs` alone. `ShownArguments` lets its class show the given one's.
    """

    def __init__(self, *args, **kwargs):
        constructor(self, *args, **kwargs)

    signature = inspect.signature(constructor)
    _, *shown = signature.parameters.values()
    __init__.shown = signature.replace(parameters=shown)
    return __init__


class ShownArguments(ModelMixin):
    """A mixin for models whose constructors are `like_model`."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            # What `inspect.signature` and `help` look at first.
            cls.__signature__ = getattr(cls.__init__, "shown", None)


def is_functional(model):
    """Whether a model is a graph, not a sequence or a class of its own."""
    return hasattr(model, "_nodes_by_depth")


def runs_as_graph(layer):
    """Whether a layer is a model that runs its graph and does nothing else."""
    if isinstance(layer, keras.Sequential):
        own, graph = keras.Sequential.call, layer._functional
    else:
        own, graph = Functional.call, is_functional(layer)
    return bool(graph) and type(layer).call is own


def nodes(model):
    """The calls that a functional model is made of, in the order they run.

    Keras has no public walk over a graph that drops tensors after their last
    use. A node has `operation`, `is_input`, `input_tensors`, `outputs`.
    """
    return [
        node
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
    ]


def call_arguments(node, tensors):
    """The arguments of a node's call, from a dict by the identity of tensors.

    Returns:
        A list and a dict of them.
    """
    return node.arguments.fill_in(tensors)


def producer(tensor: Tensor) -> Any:
    """The layer that a symbolic tensor comes from, or `None`."""
    history = getattr(tensor, "_keras_history", None)
    return history.operation if history else None


def standardized_inputs(model, inputs):
    """Inputs as a list in the order of `model.inputs`.

    Dictionaries are sorted, ranks and dtypes adapted, as when called.
    """
    return model._standardize_inputs(inputs)


def all_layers(layer, include_self=True):
    """A layer and all that it is made of, at any depth."""
    return layer._flatten_layers(include_self=include_self)


def own_layers(layer):
    """What a layer is made of, the first level only."""
    return layer._flatten_layers(include_self=False, recursive=False)


def show_shape(row, variable):
    """Lets a summary find a variable's shape where it looks for a layer's."""
    row._inbound_nodes = [
        types.SimpleNamespace(output_tensors=variable, input_tensors=[])
    ]


def mask_of(x):
    """The mask that Keras attached to a tensor, or `None`."""
    return get_keras_mask(x)


def attach_mask(x, mask):
    """Attaches a mask to a tensor; `None` takes it off."""
    set_keras_mask(x, mask)


def additional_loss(model, term):
    """What a loss of `layer.losses` adds to the model's, a scalar."""
    return model._aggregate_additional_loss(term)


def compute_loss(model, x, y, y_pred, sample_weight, training):
    """What the method `compute_loss` of a model, or an override, gives.

    An override need not know `training`.
    """
    return model._compute_loss(x, y, y_pred, sample_weight, training)


def build_no_loss(model):
    """Lets Keras not trace a loss of the combined prediction, to build it."""
    model._compile_loss.built = True


def log_loss(model, loss, sample_weight):
    """Counts a batch in the `loss` that `fit` reports."""
    model._loss_tracker.update_state(loss, sample_weight=sample_weight)


def is_saving_hdf5():
    """Whether a config is asked for a file of the legacy HDF5 format."""
    return bool(get_global_attribute("use_legacy_config"))


def forget_initial_epoch(model):
    """Lets `fit` start where it is told.

    It would go on from the epoch that an earlier `fit` resumed at.
    """
    model._initial_epoch = None


def is_within_fit(options):
    """Whether `fit` calls `evaluate` with these options, not the user."""
    return "_use_cached_eval_dataset" in options


def epoch_batches(x, y=None, sample_weight=None, batch_size=None, steps=None):
    """Batches of whatever `predict` and `evaluate` take."""
    iterator = EpochIterator(
        x, y, sample_weight, batch_size=batch_size, steps_per_epoch=steps
    )
    return (batch for _, _, buffer in iterator for batch in buffer)


def data_adapter(x, y, sample_weight, batch_size, steps, shuffle, class_weight):
    """What Keras reads data with; `fit` takes it in their place."""
    return get_data_adapter(
        x, y, sample_weight, batch_size, steps, shuffle, class_weight
    )


def opaque(cls):
    """Makes a class of tuples that `keras.tree` does not look into."""
    cls.tree_flatten = lambda self: ((), _Unseen(self))
    cls.tree_unflatten = classmethod(lambda cls, unseen, _: unseen.value)
    return register_tree_node_class(cls)


class _Unseen:
    """A value that passes for any other one."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, _Unseen)

    def __hash__(self):
        return 0


class PlacedBuild(ModelMixin):
    """A mixin for models that train on opaque batches."""

    def _symbolic_build(self, iterator=None, data_batch=None):
        if iterator is not None:
            batches = iterator
            iterator = ((a, b, map(_plain, it)) for a, b, it in batches)
        super()._symbolic_build(iterator, data_batch)


def _plain(batch):
    return tuple(batch) if isinstance(batch, tuple) else batch


def metrics_result(model):
    """The results of a model's metrics, whatever its backend adds to them."""
    base = getattr(trainer, "BaseTrainer", None) or trainer.Trainer
    return base.get_metrics_result(model)


def states(model):
    """The variables that the layers of a model keep beside their weights.

    Statistics of normalizations and random states are such; what is frozen
    is not.
    """
    found = {}
    for layer in all_layers(model):
        for variable in layer._non_trainable_variables:
            found[id(variable)] = variable
        for generator in layer._seed_generators:
            found[id(generator.state)] = generator.state
    return list(found.values())


class JaxSync(ModelMixin):
    """A mixin for models on JAX that hold the newest values themselves.

    In its loops Keras writes `_jax_state` to the variables when it needs to.
    """

    def _newest_values(self):
        """Lists of values in the order of Keras's, or `None`."""
        raise NotImplementedError

    def _values_are_written(self):
        raise NotImplementedError

    def jax_state_sync(self):
        values = self._newest_values()
        if values is not None:
            trainable, others, *more = values
            self._jax_state = {
                "trainable_variables": trainable,
                "non_trainable_variables": others,
                "optimizer_variables": more[0] if len(more) == 2 else None,
                "metrics_variables": more[-1] if more else None,
            }
            self._jax_state_synced = False
        super().jax_state_sync()
        self._values_are_written()


class LastLogs(ModelMixin):
    """A mixin for models whose last batch gives other logs to a loop."""

    def _last_logs(self, logs):
        """The logs of a loop, from what the function of its batches gave."""
        raise NotImplementedError

    def _get_metrics_result_or_logs(self, logs):
        return super()._get_metrics_result_or_logs(self._last_logs(logs))


class TensorFlowBuild(ModelMixin):
    """A mixin for models on TensorFlow that are traced once.

    Keras makes metrics and the optimizer's variables while it traces a
    training step. TensorFlow then traces the step once more. In the scope of
    a strategy Keras adds up a batch of all replicas to learn its shape, which
    fails if they have other numbers of samples.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        distributed = self._distribute_strategy is not None
        if iterator is not None:
            # A batch taken from it would not come again.
            data_batch = keras.tree.map_structure(
                _of_one_replica, iterator._distributed_dataset.element_spec
            )
            shapes = [
                getattr(part, "shape", None)
                for part in keras.tree.flatten(data_batch)
            ]
            if any(shape is None or shape.rank is None for shape in shapes):
                if distributed:
                    super()._maybe_symbolic_build(iterator)
                return
        if distributed or not self.run_eagerly:
            with self.distribute_strategy.scope():
                self._symbolic_build(data_batch=data_batch)


def _of_one_replica(spec):
    """What replica 0 gets, of a specification of what all get."""
    return getattr(spec, "_value_specs", [spec])[0]


class OwnLosses(ModelMixin):
    """A mixin for models whose losses no model around them may take.

    A model that is trained or evaluated asks for the losses of all that it is
    made of. Calling it, `predict` and `export` ask for none.
    """

    _asks_itself = False

    def _refuse_outer_model(self):
        raise NotImplementedError

    @property
    def losses(self) -> list[Tensor]:
        self._asks_itself = True
        try:
            return super().losses
        finally:
            self._asks_itself = False

    def _get_own_losses(self):
        if not self._asks_itself:
            self._refuse_outer_model()
        return super()._get_own_losses()


class LogOrder(ModelMixin):
    """A mixin for models that list some of their metrics last."""

    def _is_listed_last(self, key):
        raise NotImplementedError

    def _flatten_metrics_in_order(self, logs):
        last = {key for key in logs if self._is_listed_last(key)}
        values = super()._flatten_metrics_in_order(
            {key: value for key, value in logs.items() if key not in last}
        )
        if not last:
            return values
        values = values if isinstance(values, list) else [values]
        metrics = self.get_metrics_result()
        return values + [logs[key] for key in metrics if key in last]


def write_jax_state(model):
    """Writes the state of a loop on JAX back to the variables."""
    model.jax_state_sync()


def end_jax_training(model):
    """Ends a loop on JAX, whose state is written back to the variables."""
    write_jax_state(model)
    model._jax_state = None


def is_empty(variable):
    """Whether a loop on JAX has taken a variable's value away."""
    return variable._value is None


def set_value(variable, value):
    """Lets a variable on JAX hold an array, wherever that lies."""
    variable._value = value


def start_averages(optimizer):
    """Starts the averages of weights (`use_ema`) at the weights.

    Keras starts them at zero and sets them in the first step, to the weights
    after it; if `fit` ends before, on JAX by an error too, it takes them for
    the weights. Nothing is done if there was a step.
    """
    for part in inner_optimizers(optimizer):
        if part.built and part.use_ema and not int(part.iterations.value):
            for variable, average in zip(
                part._trainable_variables, part._model_variables_moving_average
            ):
                if average is not None:
                    average.assign(variable)


def inner_optimizers(optimizer):
    """What an optimizer of optimizers is made of, or the optimizer alone."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    # Those of a `MultiOptimizer`.
    return list(getattr(optimizer, "optimizers", [optimizer]))


def excluded_from_weight_decay(optimizer, variables):
    """What `exclude_from_weight_decay` was told, which is in no config.

    Returns:
        The paths of those of the variables that were given, and the regular
        expression of the names, or `None`.
    """
    keys = getattr(optimizer, "_exclude_from_weight_decay", ())
    names = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    return (
        [v.path for v in variables if optimizer._var_key(v) in keys],
        names and names.pattern,
    )


def is_torch_optimizer(module):
    """Whether a saved module's name is that of Keras's PyTorch optimizers.

    Keras writes it on PyTorch; no other backend can import it.
    """
    return str(module).startswith("keras.src.backend.torch.optimizers")


def lambda_functions(layer):
    """The Python functions that a `Lambda` layer was made of."""
    parts = (layer.function, layer.mask, layer._output_shape)
    return [part for part in parts if isinstance(part, types.FunctionType)]


def random_states(layers):
    """The states of the random generators of layers and of their parts."""
    return [
        generator.state
        for layer in layers
        for part in all_layers(layer)
        for generator in part._seed_generators
    ]


def has_own_step(optimizer):
    """Whether a kind of optimizer changes what TensorFlow makes of a step."""
    return "_backend_update_step" in _own_methods(optimizer)


def _own_methods(optimizer):
    kinds = type(optimizer).mro()
    kinds = kinds[: kinds.index(keras.optimizers.Optimizer)]
    return [n for n in _OF_BASE if any(n in vars(kind) for kind in kinds)]


# What works where variables are in a scope.
_OF_BASE = ["_var_key", "assign", "assign_add", "assign_sub"]
_OF_BASE += ["_apply_weight_decay", "_backend_update_step"]


def stateless_optimizer(optimizer, variables):
    """A copy of an optimizer for some of its variables.

    Its `apply` works in a `keras.StatelessScope`, which TensorFlow's own
    refuses to.
    """
    kind = type(optimizer)
    kept = set(_OF_BASE) - set(_own_methods(optimizer))
    methods = {name: getattr(BaseOptimizer, name) for name in kept}
    copy = type(kind.__name__, (kind,), methods).from_config(
        optimizer.get_config()
    )
    paths, pattern = excluded_from_weight_decay(optimizer, variables)
    if paths or pattern:
        copy.exclude_from_weight_decay(
            var_list=[v for v in variables if v.path in paths],
            var_names=[pattern] if pattern else None,
        )
    copy.build(variables)
    return copy
