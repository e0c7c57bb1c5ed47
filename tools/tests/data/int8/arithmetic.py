"""Operators of two inputs element by element, sums over axes and softmax."""
import numpy as np

from model import fused

OPERATORS = {}


def operator(function):
    OPERATORS[function.__name__] = (function, ["tflm"])
    return function


def operand_shapes(case):
    """Two shapes that broadcast: equal, one value, one along some axes, fewer axes, each along others."""
    shape = [case.integer(1, 3), case.integer(2, 5), case.integer(1, 5), case.integer(1, 6)]
    kind = case.turn(["same", "same", "scalar", "axes", "rank", "both", "flat", "one"])
    other = list(shape)
    if kind == "scalar":
        other = []
    elif kind == "one":
        other = [1]
    elif kind == "axes":
        other = [1, 1, 1, shape[3]] if case.chance(0.5) else [shape[0], 1, 1, shape[3]]
    elif kind == "rank":
        other = shape[case.integer(2, 3) :]
    elif kind == "both":
        other = [shape[0], 1, shape[2], 1]
        shape = [1, shape[1], shape[2], shape[3]]
    elif kind == "flat":
        shape = other = [case.integer(1, 40)]
    pair = [shape, other]
    if case.chance(0.4):
        pair.reverse()
    case.say(kind)
    return pair


def binary(case, code, options, version, scales, constant_scalar=True, equal=False, same_only=False):
    """Draws the operands of a binary operator and adds it; `scales` gives those of the operands and output."""
    shapes = operand_shapes(case)
    if same_only:
        shapes = [max(shapes, key=len)] * 2
    zeros = [case.zero_point(), case.zero_point(), case.zero_point()]
    if equal:
        zeros = [zeros[0]] * 3
    operands = []
    for place, shape in enumerate(shapes):
        constant = case.number % 3 == 1 and place == (shapes[1] == min(shapes, key=len))
        if constant:
            drawn = case.rng.integers(-128, 128, shape)
            index = case.constant("constant", drawn, "int8", scale=scales[place], zero=zeros[place])
        else:
            index = case.input(shape, scale=scales[place], zero=zeros[place])
        operands.append(index)
    y = case.output(np.broadcast_shapes(*shapes), scale=scales[2], zero=zeros[2])
    fields = {}
    if code in ("ADD", "SUB", "MUL", "DIV"):
        activation = case.activation()
        fields["fusedActivationFunction"] = fused(activation)
        case.say(activation)
    case.op(code, operands, [y], options, version, **fields)
    return operands


def sum_scales(case):
    """Of two terms and their sum: similar, or one far larger than the others."""
    base = case.log_uniform(0.005, 0.1)
    kind = case.turn(["similar", "first", "similar", "second", "wide", "narrow", "similar"])
    factors = [case.log_uniform(0.4, 2.5), case.log_uniform(0.4, 2.5), case.log_uniform(0.8, 5)]
    larger = {"first": [0, 2], "second": [1, 2], "wide": [2], "narrow": [0, 1]}.get(kind, [])
    for index in larger:
        factors[index] *= 30 if kind == "narrow" else 300
    case.say("scales", kind)
    return [base * factor for factor in factors]


@operator
def add(case):
    binary(case, "ADD", "AddOptions", 2, sum_scales(case))


@operator
def softmax_words(case):
    """To 16 bits."""
    softmax(case, [1 / 65536, -32768, "int16"])


@operator
def softmax(case, output=(1 / 256, -128, "int8")):
    depth = case.turn([1, 2, 3, 10, 12, 37, 100, 256, 5, 16])
    rows = case.turn([[1], [1], [3], [2, 2], [1, 2, 2], []])
    beta = case.turn([1, 1, 1, 0.5, 2, 1, 3.7, 0.01])
    scale = case.log_uniform(0.002, 0.4)
    if case.number == 4:
        scale = 1e-6
    if case.number == 9:
        scale = 40.0
    zero = case.zero_point()
    x = case.input([*rows, depth], scale=scale, zero=zero)
    y_scale, y_zero, kind = output
    y = case.output([*rows, depth], kind, y_scale, y_zero)
    case.op("SOFTMAX", [x], [y], "SoftmaxOptions", 2, beta=beta)
    case.say(f"depth {depth} beta {beta} scale {scale:.3g}")


@operator
def sub(case):
    binary(case, "SUB", "SubOptions", 2, sum_scales(case))


def product_scales(case):
    """Such that `first · second / output` uses the range of the output, or is above 1 or nearly nothing."""
    first, second = case.log_uniform(0.002, 0.3), case.log_uniform(0.002, 0.3)
    multiplier = case.turn([1 / 128, 1 / 40, 1 / 300, 1.7, 1 / 90, 1e-5, 1 / 20])
    case.say(f"multiplier about {multiplier:.2g}")
    return [first, second, first * second / multiplier * case.log_uniform(0.7, 1.4)]


@operator
def mul(case):
    binary(case, "MUL", "MulOptions", 2, product_scales(case))


@operator
def div(case):
    first, second = case.log_uniform(0.002, 0.3), case.log_uniform(0.002, 0.3)
    operands = binary(case, "DIV", "DivOptions", 2, [first, second, first / second * case.log_uniform(0.01, 0.6)])
    divisor = case.tensors[operands[1]]
    zero = int(divisor.quantization.zeroPoint[0])
    instead = zero + 1 if zero < 127 else zero - 1
    if operands[1] in case.inputs:
        data = case.data[case.inputs.index(operands[1])]
        data[data == zero] = instead
    else:
        data = case.buffers[divisor.buffer].data.view(np.int8).copy()
        data[data == zero] = instead
        case.buffers[divisor.buffer].data = data.view(np.uint8)


@operator
def squared_difference(case):
    base = case.log_uniform(0.005, 0.1)
    scales = [base * case.log_uniform(0.5, 2), base * case.log_uniform(0.5, 2)]
    scales.append(base * base * case.turn([500, 250, 1000, 60, 5000]))
    binary(case, "SQUARED_DIFFERENCE", "SquaredDifferenceOptions", 2, scales)


@operator
def maximum(case):
    binary(case, "MAXIMUM", "MaximumMinimumOptions", 2, [case.log_uniform(0.005, 0.1)] * 3, equal=True)


@operator
def minimum(case):
    binary(case, "MINIMUM", "MaximumMinimumOptions", 2, [case.log_uniform(0.005, 0.1)] * 3, equal=True)


def reduced(shape, axes, keep):
    axes = {axis % len(shape) for axis in axes}
    return [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]


def reduction(case, code, rescale, version=2):
    """Over height and width most of all, as global pools are."""
    axes = case.turn([[1, 2], [1, 2], [3], [1], [1, 2], [-1], [2, 3], [2], [1, 2], [1, 2, 3], [0], [2, 1]])
    shape = [case.integer(1, 3), case.integer(1, 6), case.integer(1, 7), case.integer(1, 9)]
    if case.number % 8 == 7:
        shape = [case.integer(1, 4), case.integer(2, 30)]
        axes = [1] if case.chance(0.5) else [-1]
    if case.number % 8 == 5:
        shape, axes = shape[:3], case.choose([[1], [2], [-1], [1, 2]])
    keep = case.turn([True, False], 2)
    scale, zero = case.log_uniform(0.005, 0.1), case.zero_point()
    count = int(np.prod([shape[axis] for axis in axes]))
    y_scale, y_zero = scale, zero
    if rescale == "sum":
        reach = np.sqrt(count) * 74 + count * abs(zero)
        y_scale, y_zero = scale * reach / case.log_uniform(40, 250), case.zero_point()
    elif rescale == "mean" and case.turn([False, True, True]):
        y_scale, y_zero = scale * case.turn([0.3, 1.0, 1.6, 0.02, 30]), case.zero_point()
        case.say("other scale")
    x = case.input(shape, scale=scale, zero=zero)
    y = case.output(reduced(shape, axes, keep), scale=y_scale, zero=y_zero)
    case.op(code, [x, case.constant("axes", axes)], [y], "ReducerOptions", version, keepDims=keep)
    case.say(f"shape {shape} axes {axes}", "kept" if keep else "")


@operator
def mean(case):
    reduction(case, "MEAN", "mean")


@operator
def sum(case):
    reduction(case, "SUM", "sum")


@operator
def reduce_max(case):
    reduction(case, "REDUCE_MAX", None)


@operator
def reduce_min(case):
    reduction(case, "REDUCE_MIN", None)


@operator
def log_softmax(case):
    depth = case.turn([1, 2, 3, 10, 12, 37, 100, 5, 16])
    rows = case.turn([[1], [1], [3], [2, 2], [1, 2, 2]])
    scale = case.log_uniform(0.002, 0.4)
    x = case.input([*rows, depth], scale=scale, zero=case.zero_point())
    y = case.output([*rows, depth], scale=16 / 256, zero=127)
    case.op("LOG_SOFTMAX", [x], [y], "LogSoftmaxOptions", 2)
    case.say(f"depth {depth} scale {scale:.3g}")


@operator
def l2_normalization(case):
    depth = case.turn([1, 2, 3, 10, 12, 37, 100, 5, 16])
    rows = case.turn([[1], [1], [3], [2, 2], [1, 2, 2]])
    zero = case.zero_point()
    x = case.input([*rows, depth], scale=case.log_uniform(0.002, 0.4), zero=zero, near=case.chance(0.3))
    if case.chance(0.2):
        case.data[0][...] = zero
        case.say("a vector of zeros")
    y = case.output([*rows, depth], scale=1 / 128, zero=0)
    case.op("L2_NORMALIZATION", [x], [y], "L2NormOptions", 2)
    case.say(f"depth {depth}")
