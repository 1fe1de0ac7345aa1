"""What each method is, and a method from outside wherever one is chosen."""

import json

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import applications
from keras_ff import methods

pytestmark = pytest.mark.only_on("torch")
every_backend = pytest.mark.only_on("tensorflow", "jax", "torch")

# From the papers, or, where they are silent, what was decided here: dropout,
# clipping, first and last learning rate, weight decay, contribution, loss.
SETTINGS = {
    "caw": (0.1, 1.0, [0.03, 0.003], 5e-4, "LossAware", 0.1),
    "cw": (0.2, None, [0.08, 0.008], 5e-4, "Interval", 0.0),
    "prototype": (0.1, None, [1e-3, 1e-5], 1e-3, "Uniform", (0.25, 8.0)),
    "projection": (0.1, None, [1e-3, 1e-5], 5e-4, "Uniform", 0.0),
    "contrast": (0.1, None, [1e-3, 1e-5], 5e-4, "Uniform", 0.0),
    "predsim": (0.1, None, [5e-4, 2e-6], 0.0, "Uniform", 0.0),
    "deep_supervision": (0.1, None, [1e-3, 1e-5], 5e-4, None, 0.0),
    "backprop": (0.1, None, [1e-3, 1e-5], 5e-4, None, 0.1),
}
OBJECTIVES = {
    "contrast": ["SupervisedContrast"],
    "predsim": ["SimilarityMatching"],
}


@pytest.mark.parametrize("name", methods.names())
def test_published_settings(name):
    dropout, clipnorm, rates, decay, contribution, of_loss = SETTINGS[name]
    settings = methods.get(name).settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings["method"] == name
    assert settings["dropout"] == dropout
    assert settings["layer_clipnorm"] == clipnorm
    assert settings["learning_rate"] == rates
    assert settings["weight_decay"] == decay
    assert settings["optimizer"]["class_name"] == "AdamW"
    if contribution is None:
        assert settings["contribution"] is None
    else:
        assert settings["contribution"]["class_name"] == contribution
    loss = settings["loss"]["config"]
    if name == "prototype":
        assert (loss["margin"], loss["scale"]) == of_loss
    else:
        assert loss["label_smoothing"] == of_loss
    # A second one in the same process is the same.
    assert methods.get(name).settings() == settings


@pytest.mark.parametrize("name", methods.names())
def test_model_is_the_methods(name):
    method = methods.get(name)
    model = applications.tiny_cnn((8, 8, 1), 2, name, width_multiplier=0.02)
    if "contribution" not in method.model_options:
        return
    assert type(model.contribution) is method.contribution
    readout = model.layers[-1]
    assert readout.layer_clipnorm == method.layer_clipnorm
    for layer in model.local_layers:
        if isinstance(method.head, type):
            assert isinstance(layer.head, method.head)
        kinds = [type(objective).__name__ for objective in layer.objectives]
        assert kinds == OBJECTIVES.get(name, [])
        rates = [
            part.rate
            for part in layer.layers
            if isinstance(part, keras.layers.Dropout)
        ]
        assert rates == [method.dropout]


# === A method from outside ===

SOURCE = '''
import keras
import keras_ff


@keras.saving.register_keras_serializable(package="outside")
class Contrast(keras_ff.layers.GoodnessProjection):
    """A projection of standardized vectors, after a convolution of its own."""

    def __init__(self, num_classes, sharpness=1.0, **kwargs):
        super().__init__(num_classes, **kwargs)
        self.sharpness = sharpness

    def call(self, inputs):
        return self.sharpness * super().call(inputs)

    def get_config(self):
        return {**super().get_config(), "sharpness": self.sharpness}


class Outside(keras_ff.methods.Method):
    name = "outside"
    paper = "none"
    head = Contrast
    dropout = 0.15
    layer_clipnorm = 2.0
    learning_rate = (0.02, 0.001)

    def loss(self):
        return keras_ff.losses.LocalCrossentropy(0.05)

    def tune_layers(self, hp, layers):
        return {"sharpness": hp.Float("sharpness", 0.5, 2.0)}
'''


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "outside.py"
    path.write_text(SOURCE)
    return f"{path}:Outside"


@pytest.mark.parametrize("name", ["tiny_cnn", "vgg14", "resnet17", "mlp"])
def test_outside_method_in_every_architecture(name, path):
    options = dict(units=(8, 6)) if name == "mlp" else {}
    if name in ("vgg14", "resnet17"):
        options = dict(width_multiplier=0.01)
    model = getattr(applications, name)(
        (8, 8, 1),
        2,
        method=methods.get(path),
        layer_options={"sharpness": 1.5},
        **options,
    )
    depth = {"tiny_cnn": 4, "vgg14": 14, "resnet17": 17, "mlp": 2}[name]
    assert len(model.local_layers) == depth
    for layer in model.local_layers:
        assert layer.head.sharpness == 1.5
        assert layer.layers[1].rate == 0.15
    assert model.layers[-1].layer_clipnorm == 2.0
    assert isinstance(model.contribution, keras_ff.contributions.Uniform)


@every_backend
def test_outside_method_trains(path):
    method = methods.get(path)
    model = applications.mlp((6,), 2, method=path, units=(8, 6))
    model.compile(method.optimizer(), method.loss())
    rng = np.random.default_rng(0)
    y = np.arange(32) % 2
    x = rng.normal(size=(32, 6)).astype("float32") + y[:, None]
    losses = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]


def test_outside_method_in_the_tuner(path, tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")
    from keras_ff.tuners import ForwardOnlyHyperModel

    space = keras_tuner.HyperParameters()
    space.Fixed("width_multiplier", 0.02)
    hypermodel = ForwardOnlyHyperModel(
        (8, 8, 1), 2, ["mlp", "tiny_cnn"], ["caw", methods.get(path)]
    )
    tuner = keras_tuner.RandomSearch(
        hypermodel,
        objective="val_accuracy",
        hyperparameters=space,
        directory=tmp_path,
    )
    hp = tuner.oracle.get_space()
    # What is searched, and with which methods; what is shared, is known once.
    parents = [
        (p.name, p.conditions[0].values) for p in hp.space if p.conditions
    ]
    assert ("temperature", ["caw"]) in parents
    assert ("sharpness", ["outside"]) in parents
    assert parents.count(("contribution", ["caw", "outside"])) == 1
    hp.values = {"method": "outside", "sharpness": 1.25, "architecture": "mlp"}
    hp.ensure_active_values()
    model = hypermodel.build(hp)
    assert "temperature" not in hp.values
    assert all(layer.head.sharpness == 1.25 for layer in model.local_layers)


class Dense(methods.Method):
    """Only what it needs."""

    name = "layer"

    def dense(self, units, num_classes, dropout, name=None, slope=0.0):
        return keras_ff.layers.LocalBlock(
            [keras.layers.Dense(units), keras.layers.LeakyReLU(slope)],
            keras_ff.layers.GoodnessProjection(num_classes),
            name=name,
        )


def test_method_that_makes_its_own_layer():
    model = applications.mlp(
        (4,), 2, Dense, units=(6,), layer_options={"slope": 0.5}
    )
    assert model.local_layers[0].layers[1].negative_slope == 0.5
    with pytest.raises(ValueError, match=r"'layer' has no conv layers.*'caw'"):
        applications.tiny_cnn((8, 8, 1), 2, Dense())


# === Bad input ===


@pytest.mark.parametrize(
    "identifier, error, message",
    [
        ("hebb", ValueError, r"\['backprop', 'caw', .*method='hebb'"),
        ("method", ValueError, "method='method'"),
        (3, TypeError, "method=3"),
        (type("Nameless", (methods.Method,), {}), TypeError, "Nameless.name"),
        ("nowhere.py:Mine", ValueError, "no file nowhere.py"),
    ],
)
def test_methods_that_do_not_exist(identifier, error, message):
    with pytest.raises(error, match=message):
        methods.get(identifier)


@pytest.mark.parametrize("attribute", ["head", "conv", "dense"])
def test_layer_where_one_is_to_be_made(attribute):
    head = keras_ff.layers.GoodnessProjection(2)
    mine = type("Mine", (methods.Method,), {"name": "mine", attribute: head})
    with pytest.raises(TypeError, match=f"`Mine.{attribute}` .*Received: Mi"):
        applications.mlp((4,), 2, mine)


def test_name_of_a_built_in_is_its_own():
    built_in = methods.get("caw")
    assert methods.get(built_in) is built_in
    assert type(methods.get(type(built_in))) is type(built_in)
    # Made anew, and what is left unchanged of a built-in one.
    for base in (methods.Method, type(built_in)):
        taken = type("Mine", (base,), {"name": "caw", "head": object})
        for identifier in (taken, taken()):
            with pytest.raises(ValueError, match="Mine.name='caw'. Give it a"):
                methods.get(identifier)
    with pytest.raises(ValueError, match="Mine.name='caw'"):
        applications.mlp((4,), 2, taken)


def test_file_without_this_method(path):
    with pytest.raises(ValueError, match=r"'Inside'.*has: \['Outside'\]"):
        methods.get(path.replace(":Outside", ":Inside"))


@pytest.mark.parametrize("name", methods.names())
def test_unknown_options_are_refused_by_name(name):
    for option, known in (("layer_clip", "name"), ("layer_clipnom", "name")):
        with pytest.raises(ValueError) as error:
            applications.tiny_cnn(
                (8, 8, 1), 2, name, model_options={option: 1.0}
            )
        assert f"Received: ['{option}']" in str(error.value)
        assert f"'{known}'" in str(error.value)
        assert f"method='{name}'" in str(error.value)
    # One that is misspelled, and those that the architecture decides.
    for option in ("temprature", "strides", "dropout", "data_format"):
        with pytest.raises(ValueError) as error:
            applications.tiny_cnn((8, 8, 1), 2, name, layer_options={option: 2})
        assert f"Received: ['{option}']" in str(error.value)
        assert "'normalization'" in str(error.value)


@pytest.mark.parametrize("name", methods.names())
def test_known_options_are_taken(name):
    """Whatever a method says that it takes can be given."""
    values = {"activation": "elu", "normalization": None, "dtype": "float32"}
    if name == "predsim":
        # Its activation is part of the method.
        del values["activation"]
    model = applications.tiny_cnn(
        (8, 8, 1), 4, name, width_multiplier=0.04, layer_options=values
    )
    convolutions = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Conv2D) and layer.name != "embedding"
    ]
    assert len(convolutions) == 4
    for layer in convolutions:
        if "activation" in values:
            assert layer.activation is keras.activations.elu
    kinds = {type(layer).__name__ for layer in model._flatten_layers()}
    assert "GroupFeatures" not in kinds
