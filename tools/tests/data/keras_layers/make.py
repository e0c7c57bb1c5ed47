"""Records what Keras computes for layers with unusual arguments: one JSON case per line.

    python make.py > keras3.json      # Keras 3 on TensorFlow
    python make.py > keras2.json      # TensorFlow 2.15

With `channels_first`, the number of channels must not be that of the last axis: there, Keras 3 on
TensorFlow adds the bias along the last axis. Pooling images by TensorFlow 2.15 is wrong with
`channels_first` on a CPU, so it is left out.
"""

import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
import tensorflow as tf

L = tf.keras.layers
KERAS_3 = hasattr(L, "RMSNormalization")
NOT_COMPUTED_BY = ("initializer", "regularizer", "constraint", "trainable", "name", "momentum", "dtype", "synchronized")


def cases():
    """(layer, shape of its input without the batch), or None for the version that lacks it."""
    line, image, volume = (8, 3), (5, 7, 3), (3, 4, 5, 2)
    for name in ("glu", "hard_shrink", "hard_sigmoid", "hard_silu", "leaky_relu", "log_sigmoid", "soft_shrink",
                 "sparse_plus", "sparse_sigmoid", "tanh_shrink", "gelu", "swish", "mish", "log_softmax"):
        if KERAS_3 or hasattr(tf.keras.activations, name):
            yield L.Activation(name), (3, 8)
    for arguments in ({"max_value": 0.3, "threshold": 0.5, "negative_slope": 0.2}, {"negative_slope": 0.2},
                      {"negative_slope": 0.2, "max_value": 0.7}, {"threshold": 0.7}, {"max_value": 0.7}):
        yield L.ReLU(**arguments), (24,)
    yield L.LeakyReLU(), (12,)
    yield L.PReLU(), (3, 4)
    yield L.PReLU(shared_axes=[2]), (2, 3, 4)
    for axis in ([1, 3], [2, 3], [1]):
        yield L.Softmax(axis=axis), (2, 3, 4)
    if not KERAS_3:
        yield L.ThresholdedReLU(theta=0.4), (12,)
        yield L.SeparableConv1D(2, 3, padding="causal", dilation_rate=2), line
        yield L.BatchNormalization(axis=[1, 3]), (2, 3, 4)
        yield L.BatchNormalization(axis=[2, 1]), (2, 3, 4)

    for data_format in ("channels_last", "channels_first"):
        def of(shape):
            return shape if data_format == "channels_last" else shape[-1:] + shape[:-1]
        common = {"data_format": data_format}
        yield L.Conv1D(2, 3, strides=2, padding="same", activation="relu", **common), of(line)
        yield L.Conv1D(2, 3, activation="softmax", **common), of(line)
        yield L.Conv2D(2, (3, 2), strides=(2, 3), padding="same", activation="relu", **common), of(image)
        yield L.Conv2D(2, 4, padding="same", **common), of(image)
        yield L.Conv2D(2, 1, strides=3, padding="same", **common), of((5, 7, 3))
        yield L.Conv3D(2, (2, 3, 1), strides=(2, 1, 2), padding="same", **common), of(volume)
        yield L.Conv3D(2, 2, dilation_rate=(1, 2, 3), padding="same", **common), of(volume)
        yield L.DepthwiseConv1D(3, depth_multiplier=2, strides=2, padding="same", **common), of(line)
        yield L.DepthwiseConv1D(3, dilation_rate=2, activation="relu", **common), of(line)
        yield L.DepthwiseConv2D((3, 2), depth_multiplier=2, strides=2, padding="same", use_bias=False, **common), of(image)
        yield L.DepthwiseConv2D(3, dilation_rate=2, padding="same", **common), of(image)
        yield L.SeparableConv1D(2, 3, depth_multiplier=2, strides=2, padding="same", **common), of(line)
        yield L.SeparableConv2D(2, 3, depth_multiplier=2, strides=2, activation="elu", **common), of(image)
        yield L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=0, **common), of((3, 4, 1))
        yield L.Conv2DTranspose(2, 4, strides=3, padding="same", output_padding=(1, 2), **common), of((3, 4, 1))
        yield L.Conv2DTranspose(2, 4, strides=3, output_padding=(2, 1), **common), of((3, 4, 1))
        yield L.Conv2DTranspose(2, 3, dilation_rate=2, padding="same", **common), of((3, 4, 1))
        yield L.Conv2DTranspose(2, 3, dilation_rate=2, **common), of((3, 4, 1))
        yield L.Conv1DTranspose(2, 4, strides=3, padding="same", activation="relu", **common), of(line)
        yield L.Conv1DTranspose(2, 2, strides=3, **common), of(line)
        yield L.Conv3DTranspose(2, 3, strides=2, padding="same", **common), of((2, 2, 2, 1))
        yield L.Conv3DTranspose(2, (2, 3, 1), strides=(1, 2, 3), use_bias=False, **common), of((2, 2, 2, 1))
        for pool in ("MaxPooling", "AveragePooling"):
            yield getattr(L, pool + "1D")(3, strides=2, padding="same", **common), of(line)
            if KERAS_3 or data_format == "channels_last":
                yield getattr(L, pool + "2D")((3, 2), strides=(2, 3), padding="same", **common), of(image)
                yield getattr(L, pool + "2D")(2, strides=3, padding="same", **common), of(image)
            yield getattr(L, pool + "3D")((2, 3, 3), strides=(2, 2, 1), padding="same", **common), of(volume)
            yield getattr(L, pool + "3D")((2, 1, 3), **common), of(volume)
        for pool in ("GlobalAveragePooling", "GlobalMaxPooling"):
            for keepdims in (False, True):
                for rank, shape in ((1, line), (2, image), (3, volume)):
                    yield getattr(L, f"{pool}{rank}D")(keepdims=keepdims, **common), of(shape)
    for size in (1, 2, 3, 4, 5):
        for stride in (1, 2, 3):
            for padding in ("same", "valid"):
                yield L.Conv2DTranspose(1, (size, 2), strides=(stride, 1), padding=padding), (3, 2, 1)
    yield L.Conv1D(2, 3, strides=2, padding="causal"), line
    yield L.Conv1D(4, 3, groups=2), (7, 4)
    yield L.Conv3D(4, 2, groups=2), (3, 4, 3, 4)

    for axis in (1, 2, 3, -1, -2):
        yield L.BatchNormalization(axis=axis, epsilon=1e-5), (2, 3, 4)
        yield L.LayerNormalization(axis=axis, epsilon=1e-6), (2, 3, 4)
        yield L.UnitNormalization(axis=axis), (2, 3, 4)
    for axis in ([1, 2], [2, 3], [1, 3], [3, 1], [1, 2, 3]):
        yield L.LayerNormalization(axis=axis), (2, 3, 4)
        yield L.UnitNormalization(axis=axis), (2, 3, 4)
    for arguments in ({"scale": False}, {"center": False}, {"scale": False, "center": False}):
        yield L.LayerNormalization(**arguments), (3, 4)
        yield L.BatchNormalization(**arguments), (3, 4)
        yield L.GroupNormalization(groups=2, **arguments), (3, 4)
    for groups in (1, 3, 6, -1):
        yield L.GroupNormalization(groups=groups), (2, 3, 6)
    for axis in (1, 2, -2):
        yield L.GroupNormalization(groups=2, axis=axis), (4, 4, 5)
    if KERAS_3:
        yield L.LayerNormalization(rms_scaling=True), (3, 4)
        yield L.LayerNormalization(rms_scaling=True, axis=[1, 2]), (2, 3, 4)
        yield L.RMSNormalization(), (3, 4)
        yield L.RMSNormalization(axis=[2, 3]), (2, 3, 4)
        yield L.RMSNormalization(axis=1), (4, 4)
        for shape in ((3, 8), (6, 2), (8, 3)):
            yield L.Activation("sparsemax"), shape


def array(values):
    return {"shape": list(values.shape), "values": [float(f"{value:.7g}") for value in values.ravel()]}


def random_weight(weight, random):
    low, high = (0.5, 2.0) if "variance" in weight.name else (-1.0, 1.0)
    return np.round(random.uniform(low, high, tuple(weight.shape)), 2).astype("float32")


def main():
    random = np.random.default_rng(1)
    for layer, shape in cases():
        x = np.round(random.uniform(-2, 2, (1, *shape)), 2).astype("float32")
        layer(x)
        layer.set_weights([random_weight(weight, random) for weight in layer.weights])
        config = {key: value for key, value in layer.get_config().items()
                  if value is not None and not any(part in key for part in NOT_COMPUTED_BY)}
        print(json.dumps({
            "class": type(layer).__name__,
            "config": config,
            "weights": [array(weight) for weight in layer.get_weights()],
            "input": array(x),
            "output": array(np.asarray(layer(x))),
        }, default=np.ndarray.tolist))


main()
