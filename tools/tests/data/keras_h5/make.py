"""Writes the files of this folder: HDF5 that Keras or its users may write and the corpus lacks.

python make.py   (h5py and numpy)
"""
import json

import h5py
import numpy as np


def dense(name, units):
    return {"class_name": "Dense", "config": {"name": name, "units": units, "use_bias": False}}


def architecture(layers):
    first = {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 2]}}
    return {"class_name": "Sequential", "config": {"name": "odd", "layers": [first] + layers}}


# Every type a weight may have, and attributes in pieces.
KERNELS = {
    "half": np.array([[0.5, -1.25], [2.0**-24, 65504.0]], "<f2"),
    "double_big_endian": np.array([[0.5, 0.1], [-2.0, 3.0]], ">f8"),
    "single_big_endian": np.array([[0.1, 0.2], [0.3, 0.4]], ">f4"),
    "int8": np.array([[-128, 127], [0, 1]], "i1"),
    "int64": np.array([[1, 2], [3, 16777217]], "<i8"),
    "compressed": np.arange(2000, dtype="<f4").reshape(2, 1000),
}
with h5py.File("odd_types.h5", "w") as file:
    units = {name: kernel.shape[1] for name, kernel in KERNELS.items()}
    config = json.dumps(architecture([dense(name, units[name]) for name in KERNELS])).encode()
    file.attrs["model_config0"] = np.bytes_(config[:200])
    file.attrs["model_config1"] = np.bytes_(config[200:])
    file.attrs["keras_version"] = np.bytes_(b"2.2.4-tf")
    file.attrs["training_config"] = "{not JSON"
    weights = file.create_group("model_weights")
    names = list(KERNELS)
    weights.attrs["layer_names0"] = np.array(names[:2], "S")
    weights.attrs["layer_names1"] = np.array(names[2:], h5py.string_dtype())
    for name, kernel in KERNELS.items():
        group = weights.create_group(name)
        group.attrs["weight_names"] = np.array([f"{name}/kernel:0"], "S")
        options = {"compression": "gzip", "shuffle": True, "chunks": (1, 100)} if name == "compressed" else {}
        group.create_dataset(f"{name}/kernel:0", data=kernel, **options)
    optimizer = file.create_group("optimizer_weights")
    optimizer.create_dataset("step", data=np.int64(3))
    optimizer["loop"] = optimizer

# A weight that is in another file.
with h5py.File("external_link.h5", "w") as file:
    file.attrs["model_config"] = json.dumps(architecture([dense("d", 2)]))
    file.attrs["keras_version"] = "2.15.0"
    weights = file.create_group("model_weights")
    weights.attrs["layer_names"] = np.array(["d"], "S")
    group = weights.create_group("d")
    group.attrs["weight_names"] = np.array(["kernel:0"], "S")
    group["kernel:0"] = h5py.ExternalLink("odd_types.h5", "/model_weights/int8/int8/kernel:0")

# A weight that is a path to another one: in a table, as a message, and among so many links that they lie in a heap.
for name, options, others in [("table", {}, 0), ("message", {"libver": "latest"}, 0), ("heap", {"libver": "latest"}, 9)]:
    with h5py.File(f"soft_link_{name}.h5", "w", **options) as file:
        file.attrs["model_config"] = json.dumps(architecture([dense("d", 2)]))
        file.attrs["keras_version"] = "2.15.0"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array(["d"], "S")
        group = weights.create_group("d")
        group.attrs["weight_names"] = np.array(["kernel:0"], "S")
        group["kernel:0"] = h5py.SoftLink("/elsewhere")
        for other in range(others):
            group.create_group(f"other_{other}")
        file["elsewhere"] = np.ones((2, 2), "<f4")
