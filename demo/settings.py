import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """What both trainings share, and the learning rate of each.

    The learning rates are those with the best accuracy on the validation
    images after the last epoch, as the mean of seeds 0, 1 and 2: of 0.03,
    0.05 and 0.08 for forward-only (0.03 ties and has the higher loss), of
    0.001, 0.003, 0.01 and 0.03 for backpropagation. The test images had no
    part in it.
    """

    epochs: int = 30
    seed: int = 0
    batch_size: int = 64
    validation_split: float = 0.2
    filters: tuple = (40, 40, 40, 80, 80, 80)
    dropout: float = 0.1
    temperature: float = 1.0
    label_smoothing: float = 0.1
    weight_decay: float = 5e-4
    forward_only_learning_rate: float = 0.05
    backprop_learning_rate: float = 0.01
    # Of the first learning rate, what is left after the last epoch.
    final_learning_rate: float = 0.02
