"""Ray Train: workers train one model together, and go on when one dies.

    KERAS_BACKEND=torch python examples/ray_train.py --output runs/ray

On JAX and PyTorch. Ray starts as many workers as asked for, on this machine
or, if RAY_ADDRESS names one, on a cluster; each takes its share of every
batch. After every epoch the backup of the first one becomes Ray's checkpoint.
When a worker dies, Ray starts all of them anew from the last checkpoint, and
the weights become those of a run that nothing disturbed: `--kill 2` shows it.
The same command goes on where the whole job was killed.
"""

import argparse
import os
import signal
import socket
import tempfile

# A cluster of this machine alone listens to this machine alone, and nobody is
# told of it. The first name is of Windows, where this is the default.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Without a dashboard Ray says every second that it does not reach it.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "Failed to query Ray Train")

import keras
import ray
import ray.train
import ray.train.collective

import keras_ff
from examples.common import options


def main():
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = flags.add_argument
    add("--dataset", choices=options.DATASETS, default="digits")
    add("--data-dir", help="folder of prepared TFDS data")
    add("--workers", type=options.positive_int, default=2)
    add("--gpu", action="store_true", help="one for each worker")
    add("--epochs", type=options.positive_int, default=5)
    add("--batch-size", type=options.positive_int, default=128)
    add("--seed", type=options.seed, default=0)
    add("--kill", type=int, help="epoch in which a worker is killed, once")
    add("--output", type=options.folder, required=True, help="folder of Ray")
    flags = flags.parse_args()
    if not ray.is_initialized():
        _start_cluster(flags.workers)
    result = train(flags)
    print(result.metrics)
    print(f"Ray's checkpoint: {result.checkpoint.path}")


def _start_cluster(workers):
    if "RAY_ADDRESS" in os.environ:
        ray.init()
    else:
        ray.init("local", num_cpus=workers, include_dashboard=False)


def train(flags):
    """Trains with workers of Ray; returns its `ray.train.Result`."""
    return _trainer()(
        train_worker,
        train_loop_config=vars(flags),
        scaling_config=ray.train.ScalingConfig(
            num_workers=flags.workers, use_gpu=flags.gpu
        ),
        run_config=ray.train.RunConfig(
            # The same place and name go on with the same run.
            storage_path=str(flags.output.resolve().parent),
            name=flags.output.name,
            failure_config=ray.train.FailureConfig(max_failures=3),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            worker_runtime_env={
                "env_vars": {"KERAS_BACKEND": keras.backend.backend()}
            },
        ),
    ).fit()


def _trainer():
    if keras.backend.backend() == "torch":
        from ray.train.torch import TorchTrainer

        return TorchTrainer
    if keras.backend.backend() == "jax":
        from ray.train.v2.jax import JaxTrainer

        return JaxTrainer
    raise SystemExit(
        "Ray's workers train local layers on JAX and PyTorch. Received: the "
        "backend 'tensorflow'. Set KERAS_BACKEND to 'jax' or 'torch'."
    )


def train_worker(config):
    """What every worker runs."""
    keras.utils.set_random_seed(config["seed"])
    if keras.backend.backend() == "jax":
        _join_jax()
    info = keras_ff.datasets.info(config["dataset"])
    training, validation, _ = keras_ff.datasets.load_arrays(
        config["dataset"], config["data_dir"]
    )
    model = make_model(info)
    with tempfile.TemporaryDirectory() as folder:
        backup = keras_ff.callbacks.Backup(folder)
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is not None:
            checkpoint.to_directory(folder)
        model.fit(
            *training,
            batch_size=config["batch_size"],
            epochs=config["epochs"],
            initial_epoch=backup.restore(model),
            validation_data=validation,
            verbose=2 if ray.train.get_context().get_world_rank() == 0 else 0,
            callbacks=[backup, Report(folder), Kill(config["kill"])],
        )


def _join_jax():
    """Makes the workers one job of JAX, where Ray has not: on CPUs."""
    import jax

    if not jax.distributed.is_initialized():
        context = ray.train.get_context()
        address = None
        if context.get_world_rank() == 0:
            with socket.socket() as free:
                free.bind((ray.util.get_node_ip_address(), 0))
                address = "{}:{}".format(*free.getsockname())
        address = ray.train.collective.broadcast_from_rank_zero(address)
        keras.distribution.initialize(
            address, context.get_world_size(), context.get_world_rank()
        )
    keras.distribution.set_distribution(keras.distribution.DataParallel())


def make_model(info):
    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input(info.input_shape),
            keras.layers.Flatten(),
            *[
                keras_ff.layers.CAWDense(
                    20 * info.num_classes, info.num_classes
                )
                for _ in range(3)
            ],
        ]
    )
    model.compile(
        keras.optimizers.AdamW(3e-3), keras_ff.losses.LocalCrossentropy()
    )
    return model


class Report(keras.callbacks.Callback):
    """Gives Ray the logs of an epoch, and the first worker's backup.

    Args:
        folder: path of the folder of the backup, which was written before.
    """

    def __init__(self, folder):
        super().__init__()
        self._folder = folder

    def on_epoch_end(self, epoch, logs=None):
        checkpoint = None
        if ray.train.get_context().get_world_rank() == 0:
            checkpoint = ray.train.Checkpoint.from_directory(self._folder)
        ray.train.report({"epoch": epoch, **logs}, checkpoint)


class Kill(keras.callbacks.Callback):
    """Kills the last worker in the middle of an epoch, once."""

    def __init__(self, epoch):
        super().__init__()
        context = ray.train.get_context()
        is_last = context.get_world_rank() == context.get_world_size() - 1
        again = ray.train.get_checkpoint() is not None
        self._epoch = epoch if is_last and not again else None

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch == self._epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._now and batch == 1:
            # Waits until Ray has all of them.
            ray.train.get_all_reported_checkpoints()
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
