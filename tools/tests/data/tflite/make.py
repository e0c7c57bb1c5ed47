#!/usr/bin/env python3
"""Whole trained nets as TensorFlow's own converter writes them, with what the runtimes compute.

Install, outside the repository:

    python3 -m venv /opt/tfenv
    /opt/tfenv/bin/pip install --pre tflite-micro
    /opt/tfenv/bin/pip install ai-edge-litert numpy flatbuffers tensorflow-cpu
    /opt/tfenv/bin/pip install --no-deps tf_keras

Run, with the folder of the trained models (each has `model.keras` and `test.npz`):

    /opt/tfenv/bin/python make.py TRAINED

For each model it writes `<name>/<kind>.tflite`, kind being float32, float16, dynamic_range or int8, and
`<name>/rows.npz`, eight rows of the test set:

    x                       float32 rows, each one input of the model
    y_keras                 Keras' outputs
    y_float32, y_float16    LiteRT's, with its builtin reference kernels
    y_dynamic_range         LiteRT's hybrid kernels, which quantise activations on the fly
    y_int8_weights          the same file's weights dequantised first, then float32 kernels
    x_int8, y_int8          the quantised rows and TensorFlow Lite Micro's outputs for them

State is reset before each row. It ends with the table of README.md, over the whole test sets.
"""
import importlib.metadata
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import flatbuffers
import numpy as np
import tensorflow as tf
import tf_keras
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro import runtime

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ["digits_cnn", "digits_mlp", "machine_ae", "gesture_lstm", "digits_gru"]
KINDS = ["float32", "float16", "dynamic_range", "int8"]
ROWS, CALIBRATION = 8, 200
schema = runtime.schema_fb


def load(folder, name):
    """The model, such that the converter needs no loop: GRU unrolled, LSTM by Keras 2 as the fused operator."""
    model = tf.keras.models.load_model(os.path.join(folder, name, "model.keras"))
    if name == "digits_gru":
        config = model.get_config()
        for layer in config["layers"]:
            if layer["class_name"] == "GRU":
                layer["config"]["unroll"] = True
        unrolled = model.__class__.from_config(config)
        unrolled.set_weights(model.get_weights())
        return unrolled
    if name == "gesture_lstm":
        layers = tf_keras.layers
        twin = tf_keras.Sequential([layers.InputLayer(model.inputs[0].shape[1:], batch_size=1)])
        for layer in model.layers:
            known = {k: v for k, v in layer.get_config().items() if k in ("units", "filters", "kernel_size", "strides")}
            known |= {k: getattr(layer, k).__name__ for k in ("activation",) if hasattr(layer, k)}
            known |= {k: getattr(layer, k) for k in ("padding",) if hasattr(layer, k)}
            twin.add(getattr(layers, layer.__class__.__name__)(**known))
        twin.set_weights(model.get_weights())
        return twin
    return model


def convert(model, kind, calibration):
    """The bytes of a `.tflite` file for one row at a time."""
    if isinstance(model, tf_keras.Model):
        return convert_with(tf.lite.TFLiteConverter.from_keras_model(model), kind, calibration)
    shape = (1, *model.inputs[0].shape[1:])
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, input_signature=[tf.TensorSpec(shape, tf.float32)], verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        return convert_with(converter, kind, calibration)


def convert_with(converter, kind, calibration):
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.representative_dataset = lambda: ([row[None]] for row in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def litert(model, rows, make=lambda x: x):
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    place, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for row in rows:
        interpreter.reset_all_variables()
        interpreter.set_tensor(place["index"], row[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"])[0])
    return np.stack(outputs)


def tflm(model, rows):
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    outputs = []
    for row in rows:
        interpreter.reset()
        interpreter.set_input(row[None].copy(), 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0)[0])
    return np.stack(outputs)


def quantisation(model):
    """(scale, zero point) of the input and of the output."""
    interpreter = Interpreter(model_content=model)
    return interpreter.get_input_details()[0]["quantization"], interpreter.get_output_details()[0]["quantization"]


def quantise(rows, scale, zero):
    return np.clip(np.round(rows / np.float32(scale)) + zero, -128, 127).astype(np.int8)


def dequantised(content):
    """The model with each int8 constant replaced by the float32 values that it stands for."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.INT8 or data is None or len(data) == 0:
                continue
            scales, axis = np.asarray(tensor.quantization.scale, np.float32), tensor.quantization.quantizedDimension
            assert not np.any(tensor.quantization.zeroPoint)
            values = np.asarray(data, np.uint8).view(np.int8).reshape(tensor.shape).astype(np.float32)
            along = [1] * values.ndim
            if len(scales) > 1:
                along[axis] = -1
            buffer = schema.BufferT()
            buffer.data = np.frombuffer((values * scales.reshape(along)).astype(np.float32).tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer, tensor.type, tensor.quantization = len(model.buffers) - 1, schema.TensorType.FLOAT32, None
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def quality(outputs, x, y, name):
    """Accuracy in percent; for the autoencoder the AUC of its reconstruction error."""
    if name != "machine_ae":
        return 100 * float((outputs.argmax(1) == y).mean())
    error = ((outputs - x) ** 2).mean(1)
    healthy, faulty = error[y == 0], error[y == 1]
    wins = (faulty[:, None] > healthy[None]).mean() + (faulty[:, None] == healthy[None]).mean() / 2
    return 100 * float(wins)


def make(folder, name):
    model = load(folder, name)
    test = np.load(os.path.join(folder, name, "test.npz"))
    x, y = test["x"].astype(np.float32), test["y"]
    os.makedirs(os.path.join(HERE, name), exist_ok=True)
    calibration = x[y == 0] if name == "machine_ae" else x
    kept = {"x": x[:ROWS], "y_keras": test["keras"][:ROWS]}
    if name == "machine_ae":
        chosen = np.r_[0 : ROWS // 2, len(x) - ROWS // 2 : len(x)]
        kept = {"x": x[chosen], "y_keras": test["keras"][chosen]}
    row = [name, f"{quality(test['keras'], x, y, name):.2f}"]
    for kind in KINDS:
        try:
            content = convert(model, kind, calibration[:CALIBRATION])
        except Exception as error:
            print(f"{name} {kind}: {type(error).__name__} {str(error).splitlines()[0][:150]}")
            row.append("–")
            continue
        if kind == "int8":
            (scale, zero), (y_scale, y_zero) = quantisation(content)
            try:
                kept["x_int8"] = quantise(kept["x"], scale, zero)
                kept["y_int8"] = tflm(content, kept["x_int8"])
                outputs = (tflm(content, quantise(x, scale, zero)).astype(np.float32) - y_zero) * y_scale
                differs = litert(content, quantise(x, scale, zero)) != np.round(outputs / y_scale + y_zero)
                print(name, "LiteRT differs in", int(differs.any(1).sum()), "rows")
            except (RuntimeError, ValueError) as error:
                kept = {k: v for k, v in kept.items() if not k.endswith("_int8")}
                print(f"{name} {kind}: {str(error).splitlines()[0][:150]}")
                row.append("–")
                continue
        else:
            kept["y_" + kind] = litert(content, kept["x"])
            if kind == "dynamic_range":
                kept["y_int8_weights"] = litert(dequantised(content), kept["x"])
            outputs = litert(content, x)
        with open(os.path.join(HERE, name, kind + ".tflite"), "wb") as file:
            file.write(content)
        row.append(f"{quality(outputs, x, y, name):.2f} ({len(content):,})")
    np.savez_compressed(os.path.join(HERE, name, "rows.npz"), **kept)
    for key in sorted(kept):
        if key.startswith("y_") and key not in ("y_keras", "y_int8"):
            print(f"{name} {key}: at most {np.abs(kept[key] - kept['y_keras']).max():.2g} from Keras")
    return row


def main(folder):
    tf.keras.utils.set_random_seed(1)
    rows = [make(folder, name) for name in NAMES]
    print("\n| model | Keras | " + " | ".join(KINDS) + " |\n" + "|---" * (2 + len(KINDS)) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    for package in ("tensorflow-cpu", "keras", "tf_keras", "tflite_micro", "ai-edge-litert", "numpy"):
        print(package, importlib.metadata.version(package))


if __name__ == "__main__":
    main(sys.argv[1])
