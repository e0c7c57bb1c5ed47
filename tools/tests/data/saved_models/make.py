#!/usr/bin/env python3
"""Small SavedModels for `saved_models.rs`, each a zip archive, with what TensorFlow computes.

    python make.py [NAME…]          with keras 3.15.1 and tensorflow 2.21.0

`NAME.zip` is the folder that `model.export` or `tf.saved_model.save` wrote; `NAME.npz` has the inputs
`input_0` … and the outputs `output_0` … of its serving function. Those in `refused/` have none.
"""
import os
import shutil
import sys
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import keras
import numpy as np
import tensorflow as tf

L = keras.layers
RANDOM = np.random.default_rng(1)
HERE = os.path.dirname(os.path.abspath(__file__))


def images():
    """Convolutions, pooling, resizing, padding, normalisations; two inputs and two outputs."""
    x = keras.Input((9, 8, 2), name="image")
    side = keras.Input((3,), name="side")
    y = L.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)
    y = L.BatchNormalization()(y)
    y = L.ReLU(6.0)(y)
    y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(y)
    y = L.LeakyReLU(negative_slope=0.1)(y)
    y = L.MaxPooling2D(2, strides=1, padding="same")(y)
    y = L.Conv2D(6, 1, groups=2, activation="swish")(y)
    z = L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="gelu")(y)
    z = L.ZeroPadding2D(((1, 0), (2, 1)))(z)
    z = L.Cropping2D(((0, 1), (1, 1)))(z)
    z = L.UpSampling2D(2, interpolation="bilinear")(z)
    z = L.AveragePooling2D(2)(z)
    z = L.UpSampling2D(2)(z)
    z = L.LayerNormalization()(z)
    z = L.GlobalMaxPooling2D()(z)
    y = L.GlobalAveragePooling2D()(y)
    y = L.Concatenate()([y, z, L.Dense(4, activation="elu")(side)])
    a = L.Dense(5, activation="softmax", name="classes")(y)
    b = L.Dense(2, activation="hard_sigmoid", name="flags")(L.Permute((2, 1))(L.Reshape((1, -1))(y))[:, 1:3, 0])
    return keras.Model([x, side], [a, b])


def sequences(batch=None):
    """Every recurrent layer, both ways of GRU, attention."""
    x = keras.Input((6, 4), batch_size=batch, name="x")
    y = L.Conv1D(5, 3, padding="causal", activation="relu")(x)
    y = L.LSTM(3, return_sequences=True)(y)
    y = L.Bidirectional(L.GRU(4, return_sequences=True))(y)
    y = L.GRU(5, reset_after=False, return_sequences=True)(y)
    y = L.SimpleRNN(4, return_sequences=True)(y)
    y = L.LSTM(4, go_backwards=True)(y)
    return keras.Model(x, L.Dense(2)(y))


def one_row():
    """Of a batch of one, sums are written with vectors."""
    return sequences(1)


def dilated():
    """Taps that are apart: TensorFlow computes them of a batch of phases."""
    x = keras.Input((12, 4), name="x")
    y = L.Conv1D(5, 3, dilation_rate=2, padding="causal")(x)
    y = L.Conv1D(6, 2, dilation_rate=3, padding="same", activation="relu")(y)
    y = L.SeparableConv1D(4, 3, dilation_rate=2)(y)
    image = keras.Input((9, 8, 3), name="image")
    z = L.Conv2D(4, (3, 2), dilation_rate=(2, 3), padding="same")(image)
    z = L.DepthwiseConv2D(3, dilation_rate=2, activation="tanh")(z)
    return keras.Model([image, x], [L.Dense(2)(y), z])


def attention():
    """Products of batches of matrices."""
    x = keras.Input((5, 4), name="x")
    y = L.MultiHeadAttention(2, 3)(x, x)
    y = L.LayerNormalization()(L.Add()([x, y]))
    y = L.Attention()([y, x])
    return keras.Model(x, L.Dense(3)(L.Flatten()(y)))


def tokens():
    """Whole numbers in, rows of a table."""
    x = keras.Input((5,), dtype="int32", name="tokens")
    y = L.Embedding(11, 4)(x)
    return keras.Model(x, L.Dense(3, activation="tanh")(L.GlobalAveragePooling1D()(y)))


class Functions(tf.Module):
    """Operations that no layer makes, and two signatures."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(RANDOM.normal(size=(4, 3)).astype("f"), name="w")
        self.v = tf.Variable(RANDOM.normal(size=(3, 4)).astype("f"), name="v")

    @tf.function(input_signature=[tf.TensorSpec((None, 6, 4), tf.float32, name="x")])
    def serve(self, x):
        a, b = tf.split(x, [2, 4], axis=1)
        y = tf.matmul(b, self.w) + tf.matmul(b, self.v, transpose_b=True)
        y = tf.concat([y, tf.reverse(y, [1])], -1)
        y = tf.pad(y, [[0, 0], [1, 0], [0, 2]], constant_values=0.5)
        y = tf.transpose(y, [0, 2, 1])[:, ::2, 1:]
        y = y / (1.0 + tf.reduce_max(tf.abs(y), axis=-1, keepdims=True))
        y = tf.tile(y, [1, 1, 2]) - tf.stack(tf.unstack(tf.tile(y, [1, 1, 2]), axis=1)[::-1], axis=1)
        y = tf.gather(y, [2, 0, 1], axis=1)
        for step in tf.range(3):
            y = y * 0.5 + tf.cast(step, tf.float32)
        y = tf.where(y > 1.0, tf.sqrt(tf.maximum(y, 0.0)), tf.math.softplus(y))
        n = tf.shape(y)[0]
        y = tf.reshape(y, [n, -1, 2])
        return {"sum": tf.reduce_sum(y, axis=[1]), "rest": tf.squeeze(tf.reduce_mean(a, [1], keepdims=True), 1)}

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
    def product(self, x):
        return {"y": tf.nn.sigmoid(x @ self.w)}


class Phases(tf.Module):
    """Batches of phases that no convolution reads, or one with a stride, or that are put together otherwise."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(RANDOM.normal(size=(2, 3, 4, 4)).astype("f"), name="w")

    @tf.function(input_signature=[tf.TensorSpec((1, 6, 9, 4), tf.float32, name="x")])
    def serve(self, x):
        y = tf.space_to_batch(x, [2, 3], [[1, 1], [0, 3]])
        z = tf.nn.conv2d(y, self.w, strides=2, padding="SAME")
        y = tf.batch_to_space(tf.nn.conv2d(y, self.w, strides=1, padding="SAME"), [2, 3], [[1, 2], [2, 0]])
        other = tf.batch_to_space(tf.space_to_batch(x, [2, 3], [[1, 1], [0, 3]]), [3, 2], [[0, 0], [0, 0]])
        one = tf.space_to_batch(x[:, :2], [2, 1], [[0, 0], [0, 0]])
        return {"one": tf.squeeze(one, 1), "other": other, "sums": tf.reduce_sum(z, axis=[1]), "whole": y}


class RunsPython(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
    def serve(self, x):
        return {"y": tf.py_function(lambda t: t * 2.0, [x], tf.float32)}


class ReadsFile(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
    def serve(self, x):
        return {"y": x + tf.strings.to_number(tf.io.read_file("number.txt"))}


class Waits(tf.Module):
    """A loop that ends when the input says so."""

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name="x")])
    def serve(self, x):
        return {"y": tf.while_loop(lambda t: tf.reduce_sum(t) < 9.0, lambda t: (t + 1.0,), [x])[0]}


class LooksUp(tf.Module):
    """A vocabulary in a file."""

    def __init__(self):
        super().__init__()
        path = os.path.join(tempfile.mkdtemp(), "words.txt")
        with open(path, "w") as file:
            file.write("one\ntwo\n")
        table = tf.lookup.TextFileInitializer(path, tf.int64, 1, tf.int64, 0)
        table = tf.lookup.TextFileInitializer(path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
                                              tf.lookup.TextFileIndex.LINE_NUMBER)
        self.table = tf.lookup.StaticHashTable(table, -1)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="words")])
    def serve(self, words):
        return {"y": tf.cast(self.table.lookup(words), tf.float32)}


def pack(folder, target):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for root, _, files in sorted(os.walk(folder)):
            for name in sorted(files):
                path = os.path.join(root, name)
                archive.write(path, os.path.join("model", os.path.relpath(path, folder)))


def settle(model):
    """Weights that are none of the initial zeros and ones."""
    for weight in model.weights:
        value = RANDOM.normal(size=weight.shape, scale=0.4).astype("f")
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)


def hashes():
    """Bins of integers, and of reals rounded to such."""
    x = keras.Input((1,), dtype="int64", name="x")
    y = keras.Input((3,), name="y")
    bins = L.Hashing(5, mask_value=0, output_mode="one_hot")(x)
    salted = L.Hashing(9, salt=[3, 1 << 40])(y)
    return keras.Model([x, y], [L.Dense(2)(bins), L.Embedding(9, 3)(salted)])


def learned():
    """Layers that learned from data: constants outside of the functions, and boundaries."""
    x = keras.Input((3,), name="x")
    layers = [L.Normalization(), L.Normalization(axis=None, invert=True), L.Discretization(num_bins=4)]
    [layer.adapt(RANDOM.normal(size=(40, 3), scale=2, loc=1).astype("f")) for layer in layers]
    return keras.Model(x, L.Concatenate()([L.Rescaling(1.0)(layer(x)) for layer in layers]))


def main():
    made = dict(images=images, sequences=sequences, one_row=one_row, dilated=dilated, attention=attention, tokens=tokens, hashes=hashes, learned=learned)
    modules = dict(functions=Functions, phases=Phases)
    refused = dict(py_function=RunsPython, read_file=ReadsFile, waits=Waits, looks_up=LooksUp)
    wanted = sys.argv[1:] or [*made, *modules, *refused]
    for name in wanted:
        keras.utils.set_random_seed(1)
        folder = os.path.join(tempfile.mkdtemp(), name)
        if name in made:
            model = made[name]()
            if name != "learned":
                settle(model)
            shapes = [(tensor.shape[0] or 3, *tensor.shape[1:]) for tensor in model.inputs]
            inputs = [RANDOM.normal(size=shape).astype("f") for shape in shapes]
            if name == "tokens":
                inputs = [RANDOM.integers(0, 11, shapes[0]).astype("f")]
            model.export(folder, verbose=False)
            if name == "hashes":
                inputs = [np.trunc(value * 1000).astype("f") if at == 0 else value * 1000 for at, value in enumerate(inputs)]
                inputs[0][0, 0] = 0
            given = [value.astype(tensor.dtype) for value, tensor in zip(inputs, model.inputs)]
            outputs = model.predict(given if len(given) > 1 else given[0], verbose=0)
            outputs = outputs if isinstance(outputs, list) else [outputs]
        elif name in modules:
            module = modules[name]()
            signatures = {"serving_default": module.serve}
            if name == "functions":
                signatures["product"] = module.product
            tf.saved_model.save(module, folder, signatures)
            inputs = [RANDOM.normal(size=[extent or 3 for extent in module.serve.input_signature[0].shape]).astype("f")]
            results = module.serve(inputs[0])
            outputs = [results[key].numpy() for key in sorted(results)]
            if name == "functions":
                x = RANDOM.normal(size=(3, 4)).astype("f")
                np.savez(os.path.join(HERE, "product.npz"), input_0=x, output_0=module.product(x)["y"].numpy())
        else:
            module = refused[name]()
            tf.saved_model.save(module, folder, {"serving_default": module.serve})
            os.makedirs(os.path.join(HERE, "refused"), exist_ok=True)
            pack(folder, os.path.join(HERE, "refused", name + ".zip"))
            continue
        pack(folder, os.path.join(HERE, name + ".zip"))
        arrays = {f"input_{at}": value for at, value in enumerate(inputs)}
        arrays.update({f"output_{at}": value for at, value in enumerate(outputs)})
        np.savez(os.path.join(HERE, name + ".npz"), **arrays)
        shutil.rmtree(folder)


main()
