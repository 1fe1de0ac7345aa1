"""Random models as plain data: what the fuzzer draws and prints.

A configuration is a dict of strings, numbers and lists, so that a failure can
be pasted into a test, stored as JSON and built on another backend.
"""

from hypothesis import strategies as st

ACTIVATIONS = ("relu", "gelu", "tanh", "softplus", "linear")
NORMALIZATIONS = ("instance", "group", "layer", "rms", None)
FF_LOSSES = (None, "ForwardForwardLoss", "SymBaLoss")
LABELS = ("numbers", "numbers", "column", "rows")
PLAIN = ("MaxPooling2D", "AveragePooling2D", "Flatten", "Dropout")
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
POLICIES = (
    *("float32",) * 12,
    "mixed_bfloat16",
    "mixed_float16",
    "float64",
    "bfloat16",
)
MAPS = ((4, 4, 2), (5, 3, 1), (6, 6, 3), (1, 1, 4), (2, 7, 2))
VECTORS = ((5,), (8,), (3,))


def chance(percent):
    """True in about so many cases; shrinks to False."""
    return st.integers(0, 99).map(lambda n: n >= 100 - percent)


@st.composite
def configurations(draw):
    """A model, how it is compiled, and what data it sees."""
    if draw(chance(8)):
        return draw(forward_forward())
    classes = draw(st.integers(2, 4))
    shape = draw(st.sampled_from(MAPS + VECTORS))
    return {
        "kind": "forward_only",
        "policy": draw(st.sampled_from(POLICIES)),
        "input": list(shape),
        "classes": classes,
        "nodes": draw(graphs(shape, classes)),
        **draw(options(classes)),
    }


@st.composite
def forward_forward(draw):
    classes = draw(st.integers(2, 4))
    dense = st.fixed_dictionaries(
        {
            "units": st.integers(2, 6),
            "threshold": st.sampled_from((1.0, 0.3)),
            "peer_normalization": st.sampled_from((0.0, 0.0, 0.1)),
            "activation": st.sampled_from(("relu", "tanh")),
            "use_bias": st.booleans(),
        }
    )
    return {
        "kind": "forward_forward",
        "policy": "float32",
        "input": list(draw(st.sampled_from(((8,), (6,), (3, 3, 1))))),
        "classes": classes,
        "layers": draw(st.lists(dense, min_size=1, max_size=3)),
        "negatives": draw(st.sampled_from(("hard", "uniform"))),
        "inference": draw(st.sampled_from(("goodness", "readout"))),
        "label_scale": draw(st.sampled_from((1.0, 2.5))),
        **draw(options(classes)),
        "loss": draw(st.sampled_from(FF_LOSSES)),
    }


@st.composite
def options(draw, classes):
    return {
        "contribution": draw(
            st.sampled_from(
                (None, "Uniform", "Last", "SkipFirst", "LossAware", "Interval")
            )
        ),
        "layer_clipnorm": draw(st.sampled_from((None, None, 0.05, 10.0))),
        "layer_metrics": draw(st.booleans()),
        "loss": draw(
            st.sampled_from(
                (
                    None,
                    "smoothed",
                    "SmoothMarginLoss",
                    "SparseCategoricalCrossentropy",
                    "CategoricalCrossentropy",
                )
            )
        ),
        "labels": draw(st.sampled_from(LABELS)),
        "optimizer": draw(optimizers()),
        "batch": draw(st.sampled_from((6, 4, 1, 9))),
        "eager": not draw(chance(7)),
        "seed": draw(st.integers(0, 99)),
    }


@st.composite
def optimizers(draw):
    name = draw(st.sampled_from(("SGD", "Adam", "AdamW", "RMSprop", "Lion")))
    found = {"name": name, "learning_rate": draw(st.sampled_from((0.1, 0.01)))}
    if name == "SGD" and draw(st.booleans()):
        found.update(momentum=0.9, nesterov=draw(st.booleans()))
    if draw(chance(15)):
        found["weight_decay"] = 0.01
    extra = draw(st.integers(0, 9))
    if extra == 9:
        found["use_ema"] = True
    elif extra == 8:
        found["gradient_accumulation_steps"] = 2
    elif extra == 7:
        found["global_clipnorm"] = 0.5
    return found


@st.composite
def graphs(draw, shape, classes):
    """Nodes in running order; `from` names earlier ones, -1 is the input.

    Chains mostly; sums, concatenations and branches where shapes allow.
    """
    shapes = {-1: tuple(shape)}
    nodes = []
    locals_left = draw(st.integers(1, 4))
    while locals_left:
        newest = max(shapes)
        source = newest
        if draw(chance(20)):
            source = draw(st.sampled_from(sorted(shapes)))
        given_shape = shapes[source]
        if draw(chance(25)) and len(shapes) > 1:
            merged = draw(merges(shapes))
            if merged:
                shapes[len(nodes)] = tuple(merged.pop("shape"))
                nodes.append(merged)
                continue
        if len(given_shape) == 3 and draw(chance(15)):
            node, out = draw(plain(given_shape))
            shapes[len(nodes)] = out
            nodes.append({**node, "from": [source]})
            continue
        node, out = draw(local_layers(given_shape, classes))
        shapes[len(nodes)] = out
        nodes.append({**node, "from": [source]})
        locals_left -= 1
    return nodes


@st.composite
def merges(draw, shapes):
    first = draw(st.sampled_from(sorted(shapes)))
    others = [i for i in shapes if shapes[i][:-1] == shapes[first][:-1]]
    second = draw(st.sampled_from(sorted(others)))
    if first == second:
        return None
    a, b = shapes[first], shapes[second]
    if a == b and draw(st.booleans()):
        return {"layer": "Add", "from": [first, second], "shape": a}
    out = (*a[:-1], a[-1] + b[-1])
    return {"layer": "Concatenate", "from": [first, second], "shape": out}


@st.composite
def plain(draw, shape):
    height, width, channels = shape
    name = draw(
        st.sampled_from(
            ("MaxPooling2D", "AveragePooling2D", "Flatten", "Dropout")
        )
    )
    if name == "Flatten":
        return {"layer": name, "args": {}}, (height * width * channels,)
    if name == "Dropout":
        return {"layer": name, "args": {"rate": 0.2}}, shape
    args = {"pool_size": 2, "padding": "same"}
    out = (-(-height // 2), -(-width // 2), channels)
    return {"layer": name, "args": args}, out


@st.composite
def local_layers(draw, shape, classes):
    if len(shape) == 1:
        return draw(dense_layers(classes))
    kind = draw(st.sampled_from(("kernel", "kernel", "block")))
    if kind == "block":
        return draw(conv_blocks(shape, classes))
    return draw(conv_layers(shape, classes))


@st.composite
def assignments(draw):
    found = {
        "temperature": draw(st.sampled_from((2.0, 10.0, 0.1, 100.0))),
        "learnable_assignment": not draw(chance(15)),
        "temperature_decay": draw(st.sampled_from((0.995, 0.5))),
        "learnable_temperature": draw(st.booleans()),
        "assignment_initializer": draw(
            st.sampled_from((["RandomNormal", 0.5, 1.0], ["Constant", 0.5]))
        ),
    }
    if draw(chance(30)):
        found["assignment_regularizers"] = None
    return found


@st.composite
def prototypes(draw):
    return {
        "prototypes_per_class": draw(st.integers(1, 2)),
        "beta": draw(st.sampled_from((1.0, 10.0))),
        "learnable_prototypes": draw(st.booleans()),
    }


@st.composite
def dense_layers(draw, classes):
    kind = draw(st.sampled_from(("CAWDense", "PrototypeDense", "LocalBlock")))
    units = draw(st.integers(2, 6))
    if kind == "LocalBlock":
        parts = [
            {
                "layer": "Dense",
                "args": {
                    "units": units,
                    "activation": draw(st.sampled_from(ACTIVATIONS)),
                    "use_bias": draw(st.booleans()),
                },
            }
        ]
        parts += draw(
            st.lists(
                st.sampled_from(
                    (
                        {"layer": "BatchNormalization", "args": {}},
                        {"layer": "LayerNormalization", "args": {}},
                        {"layer": "Dropout", "args": {"rate": 0.2}},
                        {"layer": "Dense", "args": {"units": units}},
                    )
                ),
                max_size=2,
            )
        )
        head = draw(heads(classes, is_map=False))
        args = {"normalization": draw(st.sampled_from(("layer", "rms", None)))}
        node = {"layer": kind, "parts": parts, "head": head, "args": args}
        return {**node, **draw(objectives())}, (units,)
    args = {
        "units": units,
        "num_classes": classes,
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "use_bias": draw(st.booleans()),
        "dropout": draw(st.sampled_from((0.0, 0.0, 0.2))),
        "normalization": draw(st.sampled_from(("layer", "rms", "group", None))),
    }
    args.update(draw(assignments() if kind == "CAWDense" else prototypes()))
    if kind == "PrototypeDense":
        args["embedding_size"] = draw(st.sampled_from((None, 3)))
    return {"layer": kind, "args": args}, (units,)


@st.composite
def conv_layers(draw, shape, classes):
    kind = draw(st.sampled_from(("CAWConv2D", "CWConv2D", "PrototypeConv2D")))
    filters = draw(st.integers(2, 6))
    if kind == "CWConv2D" and not draw(chance(5)):
        filters = classes * draw(st.integers(1, 2))
    strides = draw(st.sampled_from((1, 1, 2)))
    args = {
        "filters": filters,
        "kernel_size": draw(st.integers(1, 3)),
        "strides": strides,
        "padding": "same",
        "num_classes": classes,
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "use_bias": draw(st.booleans()),
        "dropout": draw(st.sampled_from((0.0, 0.0, 0.2))),
        "normalization": draw(st.sampled_from(NORMALIZATIONS)),
    }
    if kind == "CAWConv2D":
        args.update(draw(assignments()))
        args["pooling"] = draw(
            st.sampled_from(([0.94, 0.06, 0.05], [1.0, 0.0, 0.0]))
        )
    if kind == "PrototypeConv2D":
        args.update(draw(prototypes()))
        args["embedding_size"] = draw(st.sampled_from((None, 3)))
        args["pooling"] = draw(poolings())
    out = (-(-shape[0] // strides), -(-shape[1] // strides), filters)
    return {"layer": kind, "args": args}, out


def poolings():
    return st.sampled_from(("average", "flatten", 1, 2))


@st.composite
def conv_blocks(draw, shape, classes):
    filters = draw(st.integers(2, 5))
    first = draw(st.sampled_from(CONVOLUTIONS))
    args = {"kernel_size": 3, "padding": "same"}
    if first == "DepthwiseConv2D":
        filters = shape[2]
    else:
        args["filters"] = filters
    parts = [{"layer": first, "args": args}]
    parts += draw(
        st.lists(
            st.sampled_from(
                (
                    {"layer": "BatchNormalization", "args": {}},
                    {"layer": "ReLU", "args": {}},
                    {"layer": "Dropout", "args": {"rate": 0.2}},
                    {"layer": "LayerNormalization", "args": {}},
                )
            ),
            max_size=3,
        )
    )
    head = draw(heads(classes, is_map=True, channels=filters))
    normalization = draw(st.sampled_from(NORMALIZATIONS))
    node = {
        "layer": "LocalBlock",
        "parts": parts,
        "head": head,
        "args": {"normalization": normalization},
    }
    return {**node, **draw(objectives())}, (shape[0], shape[1], filters)


@st.composite
def objectives(draw):
    if not draw(chance(15)):
        return {}
    contrast = {
        "weight": draw(st.sampled_from((1.0, 0.1))),
        "temperature": draw(st.sampled_from((0.2, 1.0))),
        "units": 3,
        "pooling": draw(poolings()),
    }
    matching = {"weight": draw(st.sampled_from((1.0, 5.0, 0.0)))}
    kinds = {"SupervisedContrast": contrast, "SimilarityMatching": matching}
    chosen = draw(
        st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=2)
    )
    found = [{"layer": kind, "args": kinds[kind]} for kind in chosen]
    return {"objectives": found}


@st.composite
def heads(draw, classes, is_map, channels=None):
    kind = draw(
        st.sampled_from(
            (
                "GoodnessProjection",
                "ChannelClassAssignment",
                "HypersphericalPrototypes",
                "ChannelGroups",
            )
        )
    )
    args = {"num_classes": classes}
    if kind == "ChannelClassAssignment":
        args.update(draw(assignments()))
    if kind == "HypersphericalPrototypes":
        args.update(draw(prototypes()))
    if is_map and kind in ("GoodnessProjection", "HypersphericalPrototypes"):
        args["pooling"] = draw(poolings())
    return {"layer": kind, "args": args}
