#!/usr/bin/env python3
"""Times flatpack and LiteRT, which uses XNNPACK, on the same models, in turn, so that what else the machine does meets both.

    pip install ai-edge-litert numpy
    cargo build --release
    python tools/examples/compare_litert.py model.tflite other.tflite model.h5,converted.tflite ...

Of a pair, flatpack builds the first file and LiteRT runs the second. Each model is built with `flatpack build --target linux` into a temporary folder. A round times one and then the other,
each in a process of its own on as many cores as threads, by the fastest tenth of its runs. Prints a row of a Markdown table for each
model: both times and the ratio flatpack / LiteRT of each round: its median, least and largest.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

LITERT = """
import json, sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter
path, runs = sys.argv[1], int(sys.argv[2])
interpreter = Interpreter(model_path=path, num_threads=int(sys.argv[3]))
interpreter.allocate_tensors()
random = np.random.default_rng(0)
for detail in interpreter.get_input_details():
    shape = [max(1, int(size)) for size in detail["shape"]]
    if np.issubdtype(detail["dtype"], np.integer):
        values = random.integers(-100, 100, shape)
    else:
        values = random.normal(0, 1, shape)
    interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
times = []
for run in range(runs + 3):
    begin = time.perf_counter_ns()
    interpreter.invoke()
    times.append((time.perf_counter_ns() - begin) / 1e3)
times = sorted(times[3:])
print(json.dumps({"p10_us": times[len(times) // 10]}))
"""


def measured(command):
    """The fastest tenth, in microseconds, that a program prints last."""
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    return json.loads(output[output.index("{"):])["p10_us"]


def main():
    """Compares the models of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flatpack", default="target/release/flatpack")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--core", type=int, default=0, help="the first core")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("models", nargs="+", metavar="MODEL.tflite | MODEL,MODEL.tflite")
    options = parser.parse_args()
    pin = ["taskset", "-c", f"{options.core}-{options.core + options.threads - 1}"]
    threads = str(options.threads)
    print("| model | flatpack, µs | LiteRT, µs | flatpack / LiteRT | least to largest |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for models in options.models:
            *source, model = [pathlib.Path(path) for path in models.split(",")]
            ours = pathlib.Path(folder, "model.fpk")
            build = [options.flatpack, "build", *(source or [model]), "-o", ours, "--target", "linux", "--json"]
            subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
            name = model.parent.name if model.stem.startswith("model") else model.stem
            try:
                one = measured(pin + [sys.executable, "-c", LITERT, model, "10", threads])
            except subprocess.CalledProcessError:
                print(f"| {name} | | | LiteRT does not run it | |", flush=True)
                continue
            runs = max(10, min(3000, int(300_000 / one)))
            programs = [
                pin + [options.flatpack, "bench", ours, "--json", "--iterations", str(runs), "--threads", threads],
                pin + [sys.executable, "-c", LITERT, model, str(runs), threads],
            ]
            rounds = []
            for number in range(options.rounds):
                # Who is first changes.
                order = [0, 1] if number % 2 == 0 else [1, 0]
                times = {program: measured(programs[program]) for program in order}
                rounds.append((times[0], times[1]))
            ratios = [a / b for a, b in rounds]
            a, b = (statistics.median(times) for times in zip(*rounds))
            print(
                f"| {name} | {a:.1f} | {b:.1f} | {statistics.median(ratios):.2f} "
                f"| {min(ratios):.2f} to {max(ratios):.2f} |",
                flush=True,
            )


main()
