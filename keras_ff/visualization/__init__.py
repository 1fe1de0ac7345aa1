"""Pictures of what a forward-only model learned, drawn with matplotlib.

Every function takes plain numbers, layers or what `fit` returned, draws on
`ax` or on a new figure, and returns the matplotlib axes.
"""

from keras_ff.visualization._assignment import assignment as assignment
from keras_ff.visualization._class_activation import (
    class_activation as class_activation,
)
from keras_ff.visualization._contributions import contributions as contributions
from keras_ff.visualization._depth_accuracy import (
    depth_accuracy as depth_accuracy,
)
from keras_ff.visualization._early_exits import early_exits as early_exits
from keras_ff.visualization._layer_accuracy import (
    layer_accuracy as layer_accuracy,
)
from keras_ff.visualization._layer_accuracy_over_epochs import (
    layer_accuracy_over_epochs as layer_accuracy_over_epochs,
)
from keras_ff.visualization._learning_curves import (
    learning_curves as learning_curves,
)
from keras_ff.visualization._parallel_coordinates import (
    parallel_coordinates as parallel_coordinates,
)
from keras_ff.visualization._prototype_similarity import (
    prototype_similarity as prototype_similarity,
)
from keras_ff.visualization._prototypes import prototypes as prototypes
from keras_ff.visualization._specialization import (
    specialization as specialization,
)
