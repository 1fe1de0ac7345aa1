from keras import ops


class Task:
    """What the scores of a model are, and which targets they are held against.

    The loss decides, see `keras_ff.models.loss_rules.task_of`; the values of
    the targets never do.

    Args:
        columns: int, how many scores every sample has.

    Attributes:
        name: string, what the model's config calls it.
        averages: bool, whether a prediction is the weighted mean of what the
            layers predict, or the weighted sum.
        has_accuracy: bool, whether a prediction is right or wrong.
        noun: string, what errors call the targets.
        rule: string, what they must be.
        example: string, what an error's example of a wrong target is.
        num_classes: int, for weights of classes. `None` if there are none.
    """

    name = None
    averages = False
    has_accuracy = True
    noun = "Labels"
    rule = None
    example = ""
    num_classes = None

    def __init__(self, columns):
        self.columns = columns

    def check_columns(self, loss):
        """Raises if scores of so many columns cannot be learned by a loss."""

    def check_shape(self, y):
        """Raises if targets, arrays or symbols, are of another shape."""
        raise NotImplementedError

    def check(self, y):
        """Raises if an array of targets does not fit the model."""
        raise NotImplementedError

    def count_wrong(self, y):
        """How many targets of a batch are wrong, and one of them."""
        raise NotImplementedError

    def standardized(self, y):
        """Targets, a tensor, in the shape that losses take."""
        return y

    def metrics(self, metrics, weighted_metrics):
        """The two kinds of metrics of `compile`, or those by default."""
        raise NotImplementedError

    def of_metrics(self, y, scores):
        """Targets as the metrics take them."""
        return self.standardized(y)

    def rows(self, y, scores):
        """Targets as rows, for local objectives."""
        return ops.cast(y, scores.dtype)

    def class_numbers(self, y):
        """The number of the class of every sample, where there are classes."""
        raise NotImplementedError

    def right(self, y, scores):
        """Whether scores are right, or how much of them, for every sample.

        Args:
            y: targets.
            scores: tensor of shape `(..., batch, columns)`.

        Returns:
            Tensor of shape `(..., batch)`, from 0 to 1.
        """
        raise NotImplementedError

    def confidence(self, scores):
        """How sure scores are, `(..., columns)`, from 0 to 1 (NumPy)."""
        raise NotImplementedError
