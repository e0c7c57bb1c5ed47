#!/usr/bin/env python3
"""Pickled models and weights for `pickles.rs`, with what Keras computes: `pickles.zip`.

    TF_USE_LEGACY_KERAS=0 python make.py

with Keras 3.15, tf_keras 2.21, TensorFlow 2.21, scikeras 0.13, scikit-learn 1.9, joblib 1.6, NumPy 2.4,
PyYAML 6.0. In the archive, `models` holds pickles that are whole models and `weights` such as go with an
architecture beside them; `x.npy` and `y.npy` are inputs and outputs of each folder's model.
"""
import copyreg
import io
import json
import os
import pickle
import sys
import tarfile
import tempfile
import types
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import joblib
import keras
import numpy as np
import tf_keras
import yaml
from keras.src.saving.keras_saveable import KerasSaveable

RANDOM = np.random.default_rng(7)
FILES = {}


def norms(keras):
    """Two normalizations, whose arrays that are not trained stand between those that are."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((3,)) if keras.__name__ == "keras" else layers.InputLayer((3,)),
            layers.Dense(4, activation="relu", name="first"),
            layers.BatchNormalization(name="norm_a"),
            layers.Dense(2, name="second"),
            layers.BatchNormalization(name="norm_b"),
        ],
        name="norms",
    )


def nested(keras):
    """A model in a model, each with a normalization."""
    layers = keras.layers
    a = keras.Input((4,))
    inner = keras.Model(a, layers.Dense(2, name="z")(layers.BatchNormalization(name="y")(a)), name="inner")
    x = keras.Input((3,))
    y = layers.BatchNormalization(name="b")(layers.Dense(4, name="a")(x))
    return keras.Model(x, layers.Dense(2, name="c")(inner(y)), name="nested")


def filled(model):
    shift = lambda w: w.ndim == 1
    model.set_weights([(RANDOM.normal(scale=0.5, size=w.shape) + shift(w) * 1.5).astype("float32") for w in model.get_weights()])
    # A variance is positive.
    model.set_weights([abs(w) if w.ndim == 1 else w for w in model.get_weights()])
    return model


def npy(array):
    file = io.BytesIO()
    np.save(file, np.asarray(array))
    return file.getvalue()


def predicted(folder, model):
    x = RANDOM.normal(size=(3, 3)).astype("float32")
    FILES[f"{folder}/x.npy"] = npy(x)
    FILES[f"{folder}/y.npy"] = npy(model(x))


def dumped(value, compress=0):
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(value, folder + "/it", compress=compress)
        with open(folder + "/it", "rb") as file:
            return file.read()


def hdf5(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder + "/model.h5")
        with open(folder + "/model.h5", "rb") as file:
            return file.read()


def saved_model(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder + "/model", save_format="tf", include_optimizer=False)
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(folder + "/model", arcname="model")
        return file.getvalue()


class Made:
    """Pickles as a call of a function of some module."""

    def __init__(self, module, name, *arguments):
        fake = sys.modules.setdefault(module, types.ModuleType(module))
        if not hasattr(fake, name):
            function = lambda *_: None
            function.__module__, function.__name__, function.__qualname__ = module, name, name
            setattr(fake, name, function)
        self.reduced = getattr(fake, name), arguments

    def __reduce__(self):
        return self.reduced


class Holder:
    pass


model = filled(norms(keras))
predicted("models", model)
# Older protocols cannot hold the `io.BytesIO` of Keras 3.
for protocol in range(2, 6):
    FILES[f"models/keras3_protocol_{protocol}.pkl"] = pickle.dumps(model, protocol)
FILES["models/joblib.pkl"] = dumped(model)
FILES["models/joblib_zlib.pkl"] = dumped(model, 3)
FILES["models/joblib_gzip.pkl"] = dumped(model, ("gzip", 3))
FILES["models/in_a_dict.pkl"] = pickle.dumps({"model": model, "classes": ["a", "b"], "threshold": 0.5})
FILES["models/in_a_tuple.pkl"] = pickle.dumps((model, {"epochs": 3}))
FILES["models/model_str.pkl"] = pickle.dumps({"model_str": hdf5(model)})
for protocol in [0, 2, 5]:
    config = json.loads(model.to_json())
    made = Made("make_picklable", "unpack", config, {"loss": "mse"}, model.get_weights())
    FILES[f"models/unpack_protocol_{protocol}.pkl"] = pickle.dumps(made, protocol)

# The recipe of `__getstate__`, before models had a `__reduce__` of their own.
reduce, KerasSaveable.__reduce__ = KerasSaveable.__reduce__, object.__reduce__
del KerasSaveable.__reduce__
keras.Sequential.__getstate__ = lambda self: {"model_str": hdf5(self)}
for protocol in [0, 1, 2, 4]:
    FILES[f"models/getstate_protocol_{protocol}.pkl"] = pickle.dumps(model, protocol)
del keras.Sequential.__getstate__
KerasSaveable.__reduce__ = reduce

from scikeras.wrappers import KerasClassifier, KerasRegressor  # noqa: E402

old = norms(tf_keras)
old.set_weights(model.get_weights())
FILES["models/tf_keras.pkl"] = pickle.dumps(old)
FILES["models/tf_keras_saved_model.pkl"] = pickle.dumps(
    Made("scikeras._utils", "unpack_keras_model", np.frombuffer(saved_model(old), "uint8"), [])
)

estimator = KerasRegressor(model=model, epochs=0, verbose=0)
estimator.initialize(np.zeros((4, 3), "float32"), np.zeros((4, 2), "float32"))
estimator.model_.set_weights(model.get_weights())
FILES["models/scikeras.pkl"] = pickle.dumps(estimator)
FILES["models/scikeras_joblib.pkl"] = dumped(estimator)

classifier_model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")], name="classes")
classifier_model.compile("sgd", "sparse_categorical_crossentropy")
classifier = KerasClassifier(model=classifier_model, epochs=1, verbose=0)
classifier.fit(RANDOM.normal(size=(8, 3)).astype("float32"), np.arange(8) % 2)
predicted("classifier", classifier.model_)
FILES["classifier/scikeras.pkl"] = pickle.dumps(classifier)

for name, model in [("norms", model), ("nested", filled(nested(keras))), ("nested_keras2", filled(nested(tf_keras)))]:
    folder = "weights/" + name
    predicted(folder, model)
    FILES[f"{folder}/model.json"] = model.to_json().encode()
    weights = model.get_weights()
    for protocol in range(6):
        FILES[f"{folder}/list_protocol_{protocol}.pkl"] = pickle.dumps(weights, protocol)
    if name == "nested_keras2":
        # What `to_yaml` did as long as Keras had it.
        FILES[f"{folder}/model.yaml"] = yaml.dump(model._updated_config()).encode()
    if name != "norms":
        continue
    FILES[f"{folder}/tuple.pkl"] = pickle.dumps(tuple(weights))
    FILES[f"{folder}/float64.pkl"] = pickle.dumps([w.astype("float64") for w in weights])
    FILES[f"{folder}/big_endian.pkl"] = pickle.dumps([w.astype(">f4") for w in weights])
    FILES[f"{folder}/big_endian_protocol_2.pkl"] = pickle.dumps([w.astype(">f4") for w in weights], 2)
    FILES[f"{folder}/fortran.pkl"] = pickle.dumps([np.asfortranarray(w) for w in weights])
    FILES[f"{folder}/fortran_protocol_2.pkl"] = pickle.dumps([np.asfortranarray(w) for w in weights], 2)
    FILES[f"{folder}/strided.pkl"] = pickle.dumps([np.repeat(w, 2, axis=0)[::2] for w in weights])
    FILES[f"{folder}/lists.pkl"] = pickle.dumps([w.tolist() for w in weights])
    FILES[f"{folder}/lists_protocol_0.pkl"] = pickle.dumps([w.tolist() for w in weights], 0)
    FILES[f"{folder}/by_layer.pkl"] = pickle.dumps({layer.name: layer.get_weights() for layer in model.layers})
    FILES[f"{folder}/by_variable.pkl"] = pickle.dumps({v.path: v.numpy() for v in model.weights})
    FILES[f"{folder}/joblib.pkl"] = dumped(weights)
    FILES[f"{folder}/joblib_zlib.pkl"] = dumped(weights, 3)
    FILES[f"{folder}/joblib_gzip.pkl"] = dumped(weights, ("gzip", 3))
    FILES[f"{folder}/joblib_fortran.pkl"] = dumped([np.asfortranarray(w) for w in weights])
    FILES["refused/joblib_bz2.pkl"] = dumped(weights, ("bz2", 3))
    FILES["refused/joblib_lzma.pkl"] = dumped(weights, ("lzma", 3))
    FILES["refused/joblib_xz.pkl"] = dumped(weights, ("xz", 3))
    FILES["refused/weights_alone.pkl"] = pickle.dumps(weights)
    FILES["refused/objects.pkl"] = pickle.dumps([np.array([None, "a"], dtype=object)])
    FILES["refused/two_models.pkl"] = pickle.dumps([Made("keras.src.saving.pickle_utils", "deserialize_model_from_bytecode", b"a")] * 2)
    FILES["refused/data.pkl"] = pickle.dumps({"a": [1, 2.5, None, True, "b"], "c": {1, 2}})
    FILES["refused/out_of_band.pkl"] = pickle.dumps([pickle.PickleBuffer(b"abc")], 5, buffer_callback=lambda _: None)

# Half floats are another model: Keras computes with what they were rounded to.
half = filled(norms(keras))
half.set_weights([w.astype("float16").astype("float32") for w in half.get_weights()])
predicted("weights/half", half)
FILES["weights/half/model.json"] = half.to_json().encode()
FILES["weights/half/float16.pkl"] = pickle.dumps([w.astype("float16") for w in half.get_weights()])

with zipfile.ZipFile("pickles.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, content in sorted(FILES.items()):
        archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
for name, content in sorted(FILES.items()):
    print(f"{len(content):8} {name}")
