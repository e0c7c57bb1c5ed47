"""A `.tflite` model of one operator, written with TensorFlow Lite's own schema, and what one is drawn from."""
import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

TYPES = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "float32": schema.TensorType.FLOAT32,
}
RUNS = 2


class Refused(Exception):
    """The drawn case is not one that a runtime accepts: another is drawn."""


class Case:
    """One drawn case of an operator: the model under construction and the data of its inputs.

    `number` counts the cases of an operator, so that `turn` goes through all alternatives; all else comes
    from `rng`.
    """

    def __init__(self, operator, number, attempt):
        seed = [sum(ord(c) * 31**i for i, c in enumerate(operator)) % 2**32, number, attempt]
        self.rng = np.random.default_rng(seed)
        self.operator, self.number = operator, number
        self.tensors, self.operators, self.codes = [], [], []
        self.buffers = [schema.BufferT()]
        self.inputs, self.outputs = [], []
        self.data = []
        self.words = []

    # What a case is drawn from.

    def turn(self, alternatives, every=1):
        """The alternative whose turn it is; each stays for `every` cases."""
        return alternatives[self.number // every % len(alternatives)]

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def choose(self, alternatives):
        return alternatives[int(self.rng.integers(len(alternatives)))]

    def integer(self, low, high):
        """From low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def log_uniform(self, low, high):
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def zero_point(self, low=-128, high=127):
        """An extreme, the middle or any other."""
        return self.choose([low, high, (low + high + 1) // 2, self.integer(low, high), self.integer(low, high)])

    def activation(self):
        return self.turn(["NONE", "RELU", "NONE", "RELU6", "NONE", "RELU_N1_TO_1"])

    def say(self, *words):
        self.words += [str(word) for word in words]

    # What it is made of.

    def tensor(self, name, shape, dtype="int8", scale=None, zero=0, axis=0, data=None, variable=False):
        """Adds a tensor; `scale` may be one number or one for each entry of `axis`."""
        buffer = 0
        if data is not None:
            entry = schema.BufferT()
            entry.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            self.buffers.append(entry)
            buffer = len(self.buffers) - 1
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, [int(n) for n in shape], TYPES[dtype]
        tensor.buffer, tensor.isVariable, tensor.hasRank = buffer, variable, True
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.full(len(scales), zero, np.int64)
            tensor.quantization.quantizedDimension = axis
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def input(self, shape, dtype="int8", scale=None, zero=0, data=None, near=False):
        """An input of the model; `data` gives its values with a leading axis of invocations."""
        index = self.tensor(f"input_{len(self.inputs)}", shape, dtype, scale, zero)
        self.inputs.append(index)
        self.data.append(self.values(shape, dtype, zero, near) if data is None else np.asarray(data, dtype))
        assert self.data[-1].shape[1:] == tuple(shape), (self.data[-1].shape, shape)
        return index

    def output(self, shape, dtype="int8", scale=None, zero=0):
        index = self.tensor(f"output_{len(self.outputs)}", shape, dtype, scale, zero)
        self.outputs.append(index)
        return index

    def constant(self, name, data, dtype="int32", **more):
        data = np.asarray(data, dtype)
        return self.tensor(name, data.shape, dtype, data=data, **more)

    def values(self, shape, dtype="int8", zero=0, near=False):
        """Any values, then mostly extreme ones; with `near`, such that are close to the zero point."""
        limits = np.iinfo(dtype)
        low, high = limits.min, limits.max
        drawn = self.rng.integers(low, high + 1, (RUNS, *shape))
        if near:
            drawn = np.clip(zero + self.rng.integers(-9, 10, drawn.shape), low, high)
        extremes = np.array([low, low + 1, high - 1, high, zero])
        hard = self.rng.choice(extremes, drawn[1].shape)
        drawn[1] = np.where(self.rng.random(drawn[1].shape) < 0.6, hard, drawn[1])
        return drawn.astype(dtype)

    def weights(self, shape, largest=127):
        return self.rng.integers(-largest, largest + 1, shape).astype(np.int8)

    def op(self, name, inputs, outputs, options=None, version=2, intermediates=None, **fields):
        """Adds an operator; `options` names its options without the ending, `fields` are theirs."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        operator.intermediates = intermediates
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, options + "T")()
            for field, value in fields.items():
                assert hasattr(operator.builtinOptions, field), field
                setattr(operator.builtinOptions, field, value)
        self.operators.append(operator)

    def pack(self, reference):
        """The bytes of the `.tflite` file; its description tells the case and what computed the outputs."""
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self.tensors, self.operators
        graph.inputs, graph.outputs = self.inputs, self.outputs
        model = schema.ModelT()
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, self.codes, [graph], self.buffers
        words = " ".join(self.words)
        model.description = f"{self.operator} {self.number:02}: {words}{' ' if words else ''}({reference})"
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def fused(activation):
    return getattr(schema.ActivationFunctionType, activation)


def padding(name):
    return getattr(schema.Padding, name)


def window(size, kernel, stride, dilation, name):
    """The length of a side of what a sliding window gives."""
    reach = (kernel - 1) * dilation + 1
    length = -(-size // stride) if name == "SAME" else (size - reach + stride) // stride
    if length < 1:
        raise Refused("the window is larger than the input")
    return length
