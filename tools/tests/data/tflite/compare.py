#!/usr/bin/env python3
"""How far TensorFlow Lite's own int8 files of ResNet-8 and the anomaly detector are from Keras.

    /opt/tfenv/bin/python compare.py OPEN [SAVE]

OPEN is the folder of the recorded models: `tiny_*` hold Keras models, `tl_*_int8` the quantised files of the
same nets. Two kinds of inputs: `recorded`, those of `tiny_*`, which are of unit variance and so use little of
what the quantised files expect; `realistic`, 64 smooth images from 0 to 255 and 64 log spectra from about -45
to 4, made here by seed. Inputs are quantised with the file's own scale (half to even, saturating), run by
TensorFlow Lite Micro, dequantised and compared with Keras' outputs for the same floats. With SAVE, the inputs
and both outputs are written there as `<model>_<kind>_{x,keras,int8}.npy`.
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np
import tensorflow as tf
from tflite_micro import runtime

PAIRS = [("tiny_resnet8_cifar10", "tl_resnet8_int8"), ("tiny_ad01_autoencoder", "tl_ad01_int8")]


def smooth(rng, shape):
    """A sum of low frequencies along all axes but the last, per entry of the last; from 0 to 1."""
    total = np.zeros(shape)
    for _ in range(6):
        wave = rng.uniform(0, 2 * np.pi, shape[-1])
        for axis, n in enumerate(shape[:-1]):
            steps = np.arange(n).reshape([-1 if i == axis else 1 for i in range(len(shape))])
            wave = wave + rng.uniform(0, 3) * 2 * np.pi * steps / n
        total += rng.uniform(0.2, 1) * np.cos(wave)
    total += rng.normal(0, 0.15, shape)
    return (total - total.min()) / (total.max() - total.min())


def realistic(name):
    rng = np.random.default_rng(1)
    if name == "tiny_resnet8_cifar10":
        return np.stack([np.round(255 * smooth(rng, (32, 32, 3))) for _ in range(64)]).astype(np.float32)
    frames = []
    for _ in range(64):
        spectrum = rng.uniform(-15, -5) - np.linspace(0, rng.uniform(15, 30), 128)
        spectrum += rng.uniform(3, 8) * smooth(rng, (128, 1))[:, 0]
        frames.append((spectrum + rng.normal(0, 2, (5, 128))).reshape(640))
    return np.stack(frames).astype(np.float32)


def quantisation(details):
    parameters = details["quantization_parameters"]
    return parameters["scales"][0], parameters["zero_points"][0]


def run(path, x):
    """Dequantised outputs, and the share of inputs outside the range of the quantised input."""
    with open(path, "rb") as file:
        interpreter = runtime.Interpreter.from_bytes(file.read(), arena_size=1 << 20)
    scale, zero = quantisation(interpreter.get_input_details(0))
    y_scale, y_zero = quantisation(interpreter.get_output_details(0))
    steps = np.round(x / scale) + zero
    outputs = []
    for row in np.clip(steps, -128, 127).astype(np.int8):
        interpreter.set_input(row[None].copy(), 0)
        interpreter.invoke()
        outputs.append((interpreter.get_output(0)[0].astype(np.float64) - y_zero) * y_scale)
    return np.stack(outputs), np.mean((steps < -128) | (steps > 127))


def main(folder, save=None):
    print("| model | inputs | rows | outside the range | max abs error | RMS error | SNR dB | same largest output |")
    print("|---|---|---|---|---|---|---|---|")
    for keras, quantised in PAIRS:
        model = tf.keras.models.load_model(os.path.join(folder, keras, "model.h5"), compile=False)
        recorded = np.load(os.path.join(folder, keras, "input_0.npy")).astype(np.float32)
        for kind, x in (("recorded", recorded), ("realistic", realistic(keras))):
            expected = model.predict(x, verbose=0)
            if kind == "recorded":
                expected = np.load(os.path.join(folder, keras, "output_0.npy"))
            outputs, outside = run(os.path.join(folder, quantised, "model.tflite"), x)
            error = outputs - expected
            ratio = 10 * np.log10((expected.astype(np.float64) ** 2).sum() / (error**2).sum())
            same = np.mean(outputs.argmax(1) == expected.argmax(1))
            print(
                f"| {quantised} | {kind} | {len(x)} | {outside:.1%} | {np.abs(error).max():.4g} "
                f"| {np.sqrt((error**2).mean()):.4g} | {ratio:.2f} | {same:.0%} |"
            )
            for name, array in (("x", x), ("keras", expected), ("int8", outputs)):
                if save:
                    np.save(os.path.join(save, f"{quantised}_{kind}_{name}.npy"), array.astype(np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:])
