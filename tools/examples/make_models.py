#!/usr/bin/env python3
"""Models of kinds that people train for gateways, as `.keras`, SavedModel and `.tflite`, to time beside LiteRT; and
quantised to 8 bits, as `NAME_int8.tflite`.

    python tools/examples/make_models.py FOLDER [NAME…]      with keras 3.15.1 and tensorflow 2.21.0

None is trained: times do not depend on it. Batch normalisations have the statistics of one batch, so that activations
are of a usual size. The names are those of the functions here, and of `keras.applications` in lower case.
"""
import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import keras
import numpy as np
import tensorflow as tf

L = keras.layers


def segmentation():
    """A U-Net of three levels."""
    x = image = keras.Input((96, 96, 3))
    skips = []
    for filters in (16, 32, 64):
        for _ in range(2):
            x = L.ReLU()(L.BatchNormalization()(L.Conv2D(filters, 3, padding="same", use_bias=False)(x)))
        skips.append(x)
        x = L.MaxPooling2D()(x)
    x = L.Conv2D(96, 3, padding="same", activation="relu")(x)
    for filters in (64, 32, 16):
        x = L.Concatenate()([L.Conv2DTranspose(filters, 2, strides=2)(x), skips.pop()])
        x = L.Conv2D(filters, 3, padding="same", activation="relu")(x)
    return keras.Model(image, L.Conv2D(4, 1, activation="softmax")(x))


def mixer():
    """Patches, depthwise and pointwise convolutions with GELU."""
    image = keras.Input((64, 64, 3))
    x = L.BatchNormalization()(L.Conv2D(64, 4, strides=4, activation="gelu")(image))
    for _ in range(4):
        y = L.DepthwiseConv2D(5, padding="same", activation="gelu")(x)
        x = L.BatchNormalization()(L.Add()([x, y]))
        x = L.BatchNormalization()(L.Conv2D(64, 1, activation="gelu")(x))
    return keras.Model(image, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def transformer():
    """Two blocks of attention with four heads over 64 moments."""
    moments = keras.Input((64, 32))
    x = L.Dense(64)(moments)
    for _ in range(2):
        x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, L.MultiHeadAttention(4, 16)(x, x)]))
        y = L.Dense(64)(L.Dense(128, activation="gelu")(x))
        x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, y]))
    return keras.Model(moments, L.Dense(6, activation="softmax")(L.GlobalAveragePooling1D()(x)))


def temporal():
    """Causal convolutions with dilations up to 32 over 256 moments."""
    moments = keras.Input((256, 12))
    x = L.Conv1D(32, 1)(moments)
    for dilation in (1, 2, 4, 8, 16, 32):
        y = L.Conv1D(32, 3, dilation_rate=dilation, padding="causal", use_bias=False)(x)
        y = L.Activation("relu")(L.BatchNormalization()(y))
        x = L.Add()([x, L.Conv1D(32, 1)(y)])
    return keras.Model(moments, L.Dense(5, activation="softmax")(L.GlobalAveragePooling1D()(x)))


def autoencoder():
    """Convolutions over 128 moments, and transposed ones back."""
    x = moments = keras.Input((128, 1))
    for filters in (16, 8):
        x = L.Conv1D(filters, 7, strides=2, padding="same", activation="relu")(x)
    for filters in (8, 16):
        x = L.Conv1DTranspose(filters, 7, strides=2, padding="same", activation="relu")(x)
    return keras.Model(moments, L.Conv1D(1, 7, padding="same")(x))


OWN = [segmentation, mixer, transformer, temporal, autoencoder]
APPLICATIONS = ["MobileNetV3Small", "MobileNetV3Large", "EfficientNetV2B0", "DenseNet121", "ResNet50V2", "NASNetMobile"]


def batch_for(model, count):
    """Inputs at random: pixels, where there is a Rescaling for them."""
    high = 255 if any(isinstance(layer, L.Rescaling) for layer in model.layers) else 1
    return np.random.default_rng(1).uniform(0, high, size=(count, *model.input_shape[1:])).astype("f")


def settle(model):
    """Gives batch normalisations the statistics of one batch."""
    layers = [layer for layer in model.layers if isinstance(layer, L.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    model(batch_for(model, 8), training=True)
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum


def in_8_bits(saved, model):
    """A `.tflite` whose activations, weights, inputs and outputs have 8 bits."""
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[np.newaxis]] for one in batch_for(model, 8))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def main():
    made = {make.__name__: make for make in OWN}
    for name in APPLICATIONS:
        made[name.lower()] = lambda make=getattr(keras.applications, name): make(weights=None, input_shape=(224, 224, 3))
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", help="where they are written; it is made")
    arguments.add_argument("names", nargs="*", metavar="name", help="which of " + ", ".join(made) + "; by default all")
    given = arguments.parse_args()
    if unknown := [name for name in given.names if name not in made]:
        arguments.error(f"there is no {unknown[0]}: one of {', '.join(made)}")
    os.makedirs(given.folder, exist_ok=True)
    for name in given.names or made:
        keras.utils.set_random_seed(1)
        model = made[name]()
        settle(model)
        model.save(os.path.join(given.folder, name + ".keras"))
        saved = os.path.join(given.folder, name)
        archive = keras.export.ExportArchive()
        archive.track(model)
        signature = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="x")
        archive.add_endpoint("serving_default", lambda x: model(x, training=False), input_signature=[signature])
        archive.write_out(saved, verbose=False)
        with open(saved + ".tflite", "wb") as file:
            file.write(tf.lite.TFLiteConverter.from_saved_model(saved).convert())
        with open(saved + "_int8.tflite", "wb") as file:
            file.write(in_8_bits(saved, model))
        print(name)


main()
