"""Pictures of what a forward-only model learned, drawn with matplotlib.

Every function takes plain numbers or what `fit` returned, draws on `ax` or on
a new figure, and returns the matplotlib axes.
"""

from keras_ff.visualization.assignment import assignment as assignment
from keras_ff.visualization.channel_order import channel_order as channel_order
from keras_ff.visualization.contributions import contributions as contributions
from keras_ff.visualization.layer_accuracy import (
    layer_accuracy as layer_accuracy,
)
from keras_ff.visualization.layer_accuracy_over_epochs import (
    layer_accuracy_over_epochs as layer_accuracy_over_epochs,
)
from keras_ff.visualization.learning_curves import (
    learning_curves as learning_curves,
)
from keras_ff.visualization.parallel_coordinates import (
    parallel_coordinates as parallel_coordinates,
)
