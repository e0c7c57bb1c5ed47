#!/usr/bin/env python3
"""One-operator int8 models with what TensorFlow Lite Micro computes for them.

Install, outside the repository:

    python3 -m venv /opt/tfenv
    /opt/tfenv/bin/pip install --pre tflite-micro
    /opt/tfenv/bin/pip install ai-edge-litert numpy flatbuffers

Run:

    /opt/tfenv/bin/python make.py                 # all operators, and the table of README.md
    /opt/tfenv/bin/python make.py conv_2d add     # these only

It writes `<operator>.npz` beside itself. For case NN of an operator, counted from 00, it holds

    NN_model        the bytes of a `.tflite` file, uint8
    NN_input_<i>    the model's i-th input, in its own order, with a leading axis of invocations
    NN_output_<i>   its i-th output likewise

Invocations follow each other in one interpreter, so that state goes from one to the next. Outputs are
those of TensorFlow Lite Micro's reference kernels; where it has no such operator or not for these types,
of LiteRT's builtin reference resolver, and the model's description ends with `(litert)` instead of
`(tflm)`. A drawn case that the runtime refuses is drawn again. The same versions give the same bytes.
"""
import collections
import importlib.metadata
import io
import os
import re
import sys
import tempfile
import zipfile

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro import runtime

import operators
from model import Case, Refused

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = 24
ATTEMPTS = 60


class Quiet:
    """Takes what C++ code says on the standard error, which is where it tells why it refuses."""

    def __enter__(self):
        sys.stderr.flush()
        self.file = tempfile.TemporaryFile()
        self.saved = os.dup(2)
        os.dup2(self.file.fileno(), 2)
        return self

    def __exit__(self, *_):
        os.dup2(self.saved, 2)
        os.close(self.saved)
        self.file.seek(0)
        self.said = self.file.read().decode(errors="replace")


def tflm(model, data):
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    outputs = []
    for values in zip(*data):
        for index, value in enumerate(values):
            interpreter.set_input(np.array(value, order="C"), index)
        interpreter.invoke()
        outputs.append([interpreter.get_output(i) for i in range(count_outputs(model))])
    return [np.stack(output) for output in zip(*outputs)]


def count_outputs(model):
    return runtime.schema_fb.Model.GetRootAsModel(model, 0).Subgraphs(0).OutputsLength()


def litert(model, data):
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    inputs, targets = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for values in zip(*data):
        for place, value in zip(inputs, values):
            interpreter.set_tensor(place["index"], value)
        interpreter.invoke()
        outputs.append([interpreter.get_tensor(place["index"]) for place in targets])
    return [np.stack(output) for output in zip(*outputs)]


def attempt(run, model, data):
    """What a runtime gives, or in a line why it gives nothing."""
    with Quiet() as quiet:
        try:
            result, refusal = run(model, data), None
        except (RuntimeError, ValueError, SystemError) as error:
            result, refusal = None, str(error)
    if refusal is None:
        return result, None
    lines = [line for line in (quiet.said + "\n" + refusal).splitlines() if line.strip()]
    return None, re.sub(r"\s+", " ", re.sub(r"^.*/", "", lines[0]))[:140]


def draw(operator, build, number, reference, redrawn):
    """The first drawn case that the runtime accepts, as (case, bytes of the model, outputs)."""
    for tried in range(ATTEMPTS):
        case = Case(operator, number, tried)
        try:
            build(case)
        except Refused as refused:
            redrawn[f"generator: {refused}"] += 1
            continue
        model = case.pack(reference)
        outputs, refusal = attempt(tflm if reference == "tflm" else litert, model, case.data)
        if outputs is not None:
            return case, model, outputs
        if "not supported" in refusal or "Didn't find op" in refusal:
            return None
        redrawn[f"{reference}: {refusal}"] += 1
    return None


def make(operator, build, references):
    """All cases of an operator with a row of the table: name, reference, cases, differing, redrawn, words."""
    arrays, redrawn, refusals, differing, lacking, worst = {}, collections.Counter(), collections.Counter(), 0, 0, 0
    used = set()
    for number in range(CASES):
        for reference in references:
            drawn = draw(operator, build, number, reference, redrawn)
            if drawn:
                break
        else:
            raise SystemExit(f"{operator} {number:02}: no case is accepted: {dict(redrawn)}")
        case, model, outputs = drawn
        used.add(reference)
        arrays[f"{number:02}_model"] = np.frombuffer(model, np.uint8)
        for kind, values in (("input", case.data), ("output", outputs)):
            for index, value in enumerate(values):
                arrays[f"{number:02}_{kind}_{index}"] = value
        if reference == "tflm":
            other, refusal = attempt(litert, model, case.data)
            if other is None:
                lacking += 1
                refusals[refusal] += 1
            elif any(a.shape != b.shape or (a != b).any() for a, b in zip(outputs, other)):
                differing += 1
                same = [(a, b) for a, b in zip(outputs, other) if a.shape == b.shape]
                worst = max([worst] + [np.abs(a.astype(float) - b.astype(float)).max() for a, b in same])
    save(os.path.join(HERE, operator + ".npz"), arrays)
    for reason, times in redrawn.most_common():
        print(f"    redrawn {times} times: {reason}")
    for reason, times in refusals.most_common():
        print(f"    LiteRT refuses {times}: {reason}")
    share = np.mean([np.mean(np.isin(a, (-128, 127))) for k, a in arrays.items() if "output" in k and a.size])
    print(f"    {share:.0%} of the outputs' values are -128 or 127")
    told = f"{differing} (≤ {worst:g})" if differing else "0"
    return operator, "+".join(sorted(used)), CASES, told, lacking, redrawn.total()


def save(path, arrays):
    """As numpy.savez_compressed does, with the same bytes each time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.array(array, order="C"), allow_pickle=False)
            entry = zipfile.ZipInfo(name + ".npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, 9)


def main(names):
    unknown = [name for name in names if name not in operators.ALL]
    if unknown:
        raise SystemExit(f"no such operator: {' '.join(unknown)}; there are: {' '.join(operators.ALL)}")
    rows = []
    for name in names or operators.ALL:
        print(name, flush=True)
        rows.append(make(name, *operators.ALL[name]))
    print("\n| operator | outputs by | cases | LiteRT differs in | LiteRT refuses | redrawn | bytes |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        size = os.path.getsize(os.path.join(HERE, row[0] + ".npz"))
        print("| " + " | ".join(str(cell) for cell in row) + f" | {size:,} |")
    for package in ("tflite_micro", "ai-edge-litert", "numpy", "flatbuffers"):
        print(package, importlib.metadata.version(package))


if __name__ == "__main__":
    main(sys.argv[1:])
