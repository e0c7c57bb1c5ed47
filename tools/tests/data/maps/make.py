#!/usr/bin/env python3
"""Models with custom layers and Lambdas, the maps that say what those compute, and what Keras computes: `maps.zip`.

    TF_USE_LEGACY_KERAS=0 python make.py

with Keras 3.15, tf_keras 2.21, TensorFlow 2.21, NumPy 2.4. Each folder of the archive has the same model as several
files or folders, its `map.toml`, inputs `x_0.npy`, … and the output `y.npy`.
"""
import os
import sys
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf
import tf_keras

RANDOM = np.random.default_rng(11)


def classes(keras):
    """The custom classes, as layers of this Keras."""
    layers = keras.layers
    register = (keras.saving if hasattr(keras, "saving") else keras.utils).register_keras_serializable

    @register("zoo")
    class MyDense(layers.Dense):
        pass

    @register("zoo")
    class Swish(layers.Layer):
        def call(self, x):
            return x * tf.sigmoid(x)

    @register("zoo")
    class Noise(layers.Layer):
        def __init__(self, level=0.1, **kwargs):
            super().__init__(**kwargs)
            self.level = level

        def call(self, x, training=False):
            return x

        def get_config(self):
            return {**super().get_config(), "level": self.level}

    @register("zoo")
    class Residual(layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.first = layers.Dense(units, activation="relu")
            self.norm = layers.BatchNormalization()
            self.second = layers.Dense(units, activation="tanh")

        def build(self, shape):
            # Keras 2 names arrays by the calls that make them.
            if keras.__name__ == "keras":
                for layer in (self.first, self.norm, self.second):
                    layer.build(shape)
            self.built = True

        def call(self, x):
            return x + self.second(self.norm(self.first(x)))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    @register("zoo")
    class Pooled(layers.Layer):
        """Attention over time by arrays of its own."""

        def build(self, shape):
            self.W = self.add_weight(name="W", shape=(shape[-1], 3), initializer="normal")
            self.b = self.add_weight(name="b", shape=(3,), initializer="normal")
            self.u = self.add_weight(name="u", shape=(3, 1), initializer="normal")
            self.built = True

        def call(self, x):
            score = tf.tanh(tf.matmul(x, self.W) + self.b)
            weight = tf.nn.softmax(tf.matmul(score, self.u), axis=1)
            return tf.reduce_sum(x * weight, axis=1)

    @register("zoo")
    class Scaled(layers.Layer):
        """Hands masks on."""

        def __init__(self, by, **kwargs):
            super().__init__(**kwargs)
            self.by = by
            self.supports_masking = True

        def call(self, x):
            return x * self.by

        def get_config(self):
            return {**super().get_config(), "by": self.by}

    @register("zoo")
    class Twice(layers.Wrapper):
        """Calls a layer two times."""

        def build(self, shape):
            if not self.layer.built:
                self.layer.build(shape)
            self.built = True

        def call(self, x):
            return self.layer(self.layer(x))

    @register("zoo")
    class Trained(keras.Model):
        """A model of its own training."""

    return MyDense, Swish, Noise, Residual, Pooled, Scaled, Twice, Trained


def models(keras):
    layers = keras.layers
    MyDense, Swish, Noise, Residual, Pooled, Scaled, Twice, Trained = classes(keras)

    x = keras.Input((4,))
    y = Swish()(Noise(0.5)(MyDense(3, activation="relu")(x)))
    yield "classes", keras.Model(x, layers.Dense(2)(y))

    x = keras.Input((4,))
    y = Residual(4, name="block_a")(layers.Dense(4)(x))
    yield "compositions", keras.Model(x, layers.Dense(2)(Residual(4, name="block_b")(y)))

    x = keras.Input((5, 4))
    yield "weights", keras.Model(x, layers.Dense(2)(Pooled()(layers.Dense(4)(x))))

    x = keras.Input((6, 4))
    y = layers.Lambda(lambda x: x / 127.5 - 1, name="scale")(x)
    y = layers.Lambda(lambda t, by: t[:, -1] * by, name="last", arguments={"by": 3.0})(layers.Dense(4)(y))
    z = layers.Lambda(lambda t: tf.math.l2_normalize(t, axis=1), name="unit")(y)
    yz = layers.Lambda(lambda t: t[0] * 2 ** 0.5 - t[1], name="both")([y, z])
    yield "lambdas", keras.Model(x, layers.Dense(2)(yz))

    x = keras.Input((6,), dtype="int32")
    y = Scaled(2.0)(layers.Embedding(5, 3, mask_zero=True)(x))
    yield "masks", keras.Model(x, layers.Dense(2)(layers.LSTM(3)(y)))

    x = keras.Input((4,))
    yield "wrappers", keras.Model(x, Twice(layers.Dense(4, activation="relu"))(x))

    a = keras.Input((4,))
    inner = keras.Model(a, layers.Dense(3)(layers.Lambda(lambda x: tf.clip_by_value(x, 0, 1), name="cut")(a)), name="inner")
    x = keras.Input((4,))
    yield "nested", Trained(x, inner(layers.Dense(4)(x)), name="outer")


MAPS = {
    "classes": """
[class.MyDense]
layer = "Dense"

[class."zoo>Swish"]
layer = "Activation"
config = { activation = "silu" }

[class.Noise]
expression = "x"
""",
    "compositions": """
[class.Residual]
layers = [
    { name = "first", layer = "Dense", config = { units = "$units", activation = "relu" } },
    { name = "norm", layer = "BatchNormalization" },
    { name = "second", layer = "Dense", config = { units = "$units", activation = "tanh" } },
]
expression = "x + second(norm(first(x)))"
""",
    "weights": """
[class.Pooled]
weights = ["W", "b", "u"]
expression = "tf.reduce_sum(x * softmax(tanh(x @ W + b) @ u, axis=1), axis=1)"
""",
    "lambdas": """
[layer.scale]
expression = "x / 127.5 - 1"

[layer.last]
expression = "lambda t: t[:, -1] * $by"

[layer.unit]
expression = "K.l2_normalize(x, 1)"

[layer.both]
inputs = ["y", "z"]
expression = "y * 2 ** 0.5 - z"
""",
    "masks": """
[class.Scaled]
expression = "x * $by"
masks = "pass"
""",
    "wrappers": """
[class.Twice]
layers = ["$layer"]
expression = "layer(layer(x))"
""",
    "nested": """
[class.Trained]
layer = "Functional"

[layer."inner/cut"]
expression = "tf.clip_by_value(x, 0, 1)"
""",
}


def filled(model):
    shift = lambda w: w.ndim == 1
    model.set_weights([(RANDOM.normal(scale=0.5, size=w.shape) + shift(w)).astype("float32") for w in model.get_weights()])
    return model


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        for library in (keras, tf_keras):
            for name, model in models(library):
                filled(model)
                case = os.path.join(folder, f"{name}_{library.__name__}")
                os.makedirs(case)
                shape = (3, *model.inputs[0].shape[1:])
                x = RANDOM.integers(0, 5, shape) if name == "masks" else RANDOM.normal(size=shape)
                if name == "masks":
                    x[:, 4:] = 0
                if name == "lambdas":
                    x *= 100
                x = x.astype("float32")
                np.save(os.path.join(case, "x_0.npy"), x)
                np.save(os.path.join(case, "y.npy"), np.asarray(model(x)))
                with open(os.path.join(case, "map.toml"), "w") as file:
                    file.write(MAPS[name].lstrip())
                model.save(os.path.join(case, "model.keras"))
                model.save(os.path.join(case, "model.h5"))
                if library is tf_keras:
                    model.save(os.path.join(case, "model"), save_format="tf")
        with zipfile.ZipFile(os.path.join(here, "maps.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path, _, files in sorted(os.walk(folder)):
                for file in sorted(files):
                    if file != "fingerprint.pb":
                        full = os.path.join(path, file)
                        archive.write(full, os.path.relpath(full, folder))


if __name__ == "__main__":
    sys.exit(main())
