#!/usr/bin/env python3
"""Small `.keras` archives for `keras_archives.rs`, with what Keras computes.

    python make.py 2.13.1 nested wrapped convolutions shared parts weightless
    python make.py 2.14.1 nested wrapped parts
    python make.py 3.3.3 nested
    python make.py 3.5.0 nested wrapped weightless
    python make.py 3.9.2 nested
    python make.py 3.15.0 nested wrapped convolutions parts weightless
    python make.py 3.15.1 images learned
    TF_USE_LEGACY_KERAS=1 python make.py 2.21.0 images learned

each with that version of Keras, the last with tf_keras; for Keras 3, KERAS_BACKEND=numpy is enough.
"""
import io
import os
import sys
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
VERSION = sys.argv[1]
if VERSION.startswith("2"):
    from tensorflow import keras
else:
    import keras
import h5py
import numpy as np

L = keras.layers
RANDOM = np.random.default_rng(1)


def nested():
    """Nested models, layers of one class in several of them, names that are not in order."""
    x = keras.Input((6,))
    y = L.Dense(5, name="zz")(x)
    y = L.BatchNormalization(name="norm_b")(y)
    inner = keras.Model(x, L.Dense(4, activation="relu", name="aa")(y), name="inner")
    middle = keras.Sequential([keras.Input((4,)), L.Dense(3), L.BatchNormalization(), L.Dense(4)])
    x = keras.Input((6,))
    y = L.Dropout(0.3)(middle(inner(x)))
    y = L.Add()([y, L.Dense(4, name="last")(x)])
    return keras.Model(x, L.Dense(2, name="first")(y))


def wrapped():
    """A wrapper without weights before those that have some; a model in a wrapper."""
    x = keras.Input((4, 6))
    y = L.TimeDistributed(L.Dropout(0.2))(x)
    y = L.TimeDistributed(L.Dense(5))(y)
    a = keras.Input((5,))
    y = L.TimeDistributed(keras.Model(a, L.Dense(3)(L.Dense(4)(a))))(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y)))


def convolutions():
    """Classes whose names have digits and capitals, normalizations without gamma and beta."""
    layers = [L.Conv2D(3, 3), L.BatchNormalization(), L.PReLU(shared_axes=[1, 2])]
    layers += [L.SeparableConv2D(4, 3, use_bias=False), L.BatchNormalization(scale=False, center=False)]
    layers += [L.Conv2DTranspose(2, 2), L.Conv2D(2, 1), L.PReLU(), L.LayerNormalization()]
    return keras.Sequential([keras.Input((8, 8, 2)), *layers, L.GlobalAveragePooling2D(), L.Dense(3)])


def shared():
    """A layer with two calls, between others of its class."""
    a, b = keras.Input((4,)), keras.Input((4,))
    d, e = L.Dense(3), L.Dense(3)
    return keras.Model([a, b], L.Dense(2)(L.Concatenate()([d(a), d(b), e(a)])))


def parts():
    """Layers whose weights are in parts of them: cells, and the projections of attention."""
    x = keras.Input((4, 3))
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(x)
    y = L.LSTM(4, return_sequences=True, dropout=0.1)(y)
    y = L.MultiHeadAttention(2, 3)(y, y)
    y = L.RNN([L.LSTMCell(2), L.GRUCell(3), L.LSTMCell(4)], return_sequences=True)(y)
    return keras.Model(x, L.LSTM(2)(L.LSTM(3, return_sequences=True)(y)))


def images():
    """Convolutional LSTMs: their weights are those of their cells."""
    both = L.Bidirectional(L.ConvLSTM2D(2, 2, return_sequences=True))
    return keras.Sequential([keras.Input((2, 5, 4, 1)), both, L.ConvLSTM2D(2, 2), L.Flatten(), L.Dense(2)])


def weightless():
    """No weights at all."""
    return keras.Sequential([keras.Input((4,)), L.Activation("relu"), L.Rescaling(2.0)])


def learned():
    """Layers that learned from data: a vocabulary in a file of its own, means and variances, boundaries."""
    x, y = keras.Input((1,), dtype="int64"), keras.Input((3,))
    lookups = [L.IntegerLookup(output_mode="one_hot"), L.IntegerLookup(mask_token=0, num_oov_indices=2)]
    [lookup.adapt(np.array([[5], [7], [7], [9], [-300], [5], [0]])) for lookup in lookups]
    reals = [L.Normalization(), L.Normalization(axis=None, invert=True)]
    if VERSION.startswith("3"):
        reals.append(L.Discretization(num_bins=4))
    [layer.adapt(RANDOM.normal(size=(40, 3), scale=2, loc=1).astype("float32")) for layer in reals]
    places = L.CategoryEncoding(8, "one_hot")(lookups[1](x))
    return keras.Model([x, y], L.Concatenate()([lookups[0](x), places, *(L.Rescaling(1.0)(layer(y)) for layer in reals)]))


def windows(source, target):
    """The names that `os.path.join` gives on Windows."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "model.weights.h5":
                file = io.BytesIO()
                with h5py.File(io.BytesIO(content)) as old, h5py.File(file, "w") as new:

                    def rename(path, item):
                        if isinstance(item, h5py.Dataset):
                            place, number = path.split("/vars/")
                            new[place.replace("/", "\\") + "/vars/" + number] = item[()]

                    old.visititems(rename)
                content = file.getvalue()
            copy.writestr(name, content)


for build in sys.argv[2:]:
    model = globals()[build]()
    if build not in ("weightless", "learned"):
        random = [RANDOM.normal(scale=0.4, size=w.shape) + (w.ndim == 1) for w in model.get_weights()]
        model.set_weights([w.astype("float32") for w in random])
        model.compile("sgd", "mse")
    folder = f"{VERSION}/{build}"
    os.makedirs(folder, exist_ok=True)
    inputs = [RANDOM.normal(size=(2, *i.shape[1:])).astype("float32") for i in model.inputs]
    if build == "learned":
        inputs[0] = np.array([[-300], [8]], "float32")
    for number, array in enumerate(inputs):
        np.save(f"{folder}/input_{number}.npy", array)
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    np.save(f"{folder}/output_0.npy", np.asarray(outputs))
    model.save(f"{folder}/model.keras")
    if build == "parts" or folder == "2.13.1/nested":
        model.save(f"{folder}/model.h5")
    if VERSION == "2.13.1" and build == "nested":
        model.save_weights(f"{folder}/apart.weights.h5")
        with open(f"{folder}/apart.json", "w") as file:
            file.write(model.to_json())
        os.makedirs("windows", exist_ok=True)
        windows(f"{folder}/model.keras", "windows/model.keras")
