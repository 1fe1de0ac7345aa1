"""The pictures of the demo, each drawn on axes that are given."""

from keras_ff import visualization
from keras_ff.visualization.channel_order import channel_order


def curves(ax, metrics, results):
    visualization.learning_curves(
        {
            "forward-only": results["forward_only"].history,
            "backpropagation": results["backprop"].history,
        },
        ax=ax,
    )


def layers(ax, metrics, results):
    accuracy = metrics["layer_accuracy"]
    visualization.layer_accuracy(
        list(accuracy),
        list(accuracy.values()),
        combined=metrics["forward_only_accuracy"],
        reference=metrics["backprop_accuracy"],
        ax=ax,
    )
    ax.set_ylabel("test accuracy")


def layers_over_epochs(ax, metrics, results):
    visualization.layer_accuracy_over_epochs(
        results["forward_only"].history, list(metrics["layer_accuracy"]), ax=ax
    )


def contributions(ax, metrics, results):
    visualization.contributions(
        results["forward_only"].weights, list(metrics["layer_weight"]), ax=ax
    )


def assignment(axes, metrics, results):
    """Before and after training, on a pair of axes, of the first layer."""
    before = results["forward_only"].shares_before[0]
    after = results["forward_only"].shares_after[0]
    order = channel_order(after)
    visualization.assignment(before, axes[0], order=order, colorbar=False)
    visualization.assignment(after, axes[1], order=order)
    axes[0].set_title("before training", fontsize=12)
    axes[1].set_title("after training", fontsize=12)
    axes[1].set_ylabel("")
