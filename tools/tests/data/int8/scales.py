"""Multipliers at which one element is between two integers, so that the rounding of a product or quotient of scales
decides: the sources of the runtimes compute some of them in float32, and TensorFlow Lite Micro's package does not."""
import math

import numpy as np

from model import Refused, fused

OPERATORS = {}


def operator(function):
    OPERATORS[function.__name__] = (function, ["tflm"])
    return function


def threshold(value, steps):
    """The multiplier from which on `value` becomes `steps + 1` where it is rounded twice."""
    multiplier = (steps + 0.5) / value
    shift = -math.frexp(multiplier)[1]
    return ((steps + 0.5) * 2**shift - 0.5) / 2**shift / value if shift > 0 else multiplier


def differing(limit, factors, divisor):
    """Asks for scales whose product over `divisor` is on either side of a limit in float32 and in float64."""
    single = np.float32(1)
    for factor in factors:
        single = np.float32(single * np.float32(factor))
    single = float(np.float32(single / np.float32(divisor)))
    double = math.prod(float(np.float32(factor)) for factor in factors) / float(np.float32(divisor))
    if (single < limit) == (double < limit):
        raise Refused("float32 and float64 give the same")


def one_input(case, code, value, options=None, version=2, multiplier=1.0, axes=None, **fields):
    """`value` is what the input's scale is multiplied with, as integers are, before that by `multiplier`."""
    scale = case.log_uniform(0.005, 0.3)
    limit = threshold(abs(value), case.integer(10, 100))
    y_scale = np.float64(np.float32(scale)) * multiplier / limit
    differing(limit, [scale, multiplier], y_scale)
    x = case.input([1, 4], scale=scale, data=np.full([2, 1, 4], value))
    operands = [x] if axes is None else [x, case.constant("axes", axes)]
    y = case.output([1, 4], scale=y_scale)
    case.op(code, operands, [y], options, version, **fields)


def relu(case):
    one_input(case, "RELU", case.integer(50, 127))


def absolute(case):
    one_input(case, "ABS", -case.integer(50, 127), "AbsOptions")


def leaky_relu(case):
    alpha = float(np.float32(case.choose([0.1, 0.3, 0.2])))
    one_input(case, "LEAKY_RELU", -case.integer(50, 127), "LeakyReluOptions", multiplier=alpha, alpha=alpha)


def mean(case):
    one_input(case, "MEAN", case.integer(50, 127), "ReducerOptions", axes=[0], keepDims=True)


def hard_swish(case):
    """The multiplier of the output has 16 bits."""
    scale = case.log_uniform(0.05, 0.2)
    multiplier = (case.integer(1 << 14, (1 << 15) - 2) + 0.5) / (1 << 15)
    power = case.integer(5, 7)
    y_scale = np.float64(np.float32(scale)) / 128 / multiplier * 2.0**power
    differing(multiplier * 2.0**-power, [scale, 1 / 128], y_scale)
    x = case.input([1, 256], scale=scale, data=np.tile(np.arange(-128, 128), (2, 1, 1)))
    case.op("HARD_SWISH", [x], [case.output([1, 256], scale=y_scale)], "HardSwishOptions")


def sub(case):
    """Both terms are brought to twice their scale, with 20 bits more."""
    scale = case.log_uniform(0.005, 0.3)
    first, second = case.integer(30, 100), case.integer(-100, -30)
    limit = threshold((first - second) << 19, case.integer(10, 100))
    y_scale = np.float64(np.float32(scale)) / 2**19 / limit
    differing(limit, [scale, 2.0**-19], y_scale)
    a = case.input([1, 4], scale=scale, data=np.full([2, 1, 4], first))
    b = case.input([1, 4], scale=scale, data=np.full([2, 1, 4], second))
    y = case.output([1, 4], scale=y_scale)
    case.op("SUB", [a, b], [y], "SubOptions", fusedActivationFunction=fused("NONE"))


def products(case):
    """Two scales, elements of a row and a column, and the scale of their sum of products."""
    scales = np.float32([case.log_uniform(0.005, 0.3), case.log_uniform(0.001, 0.05)])
    row, column = case.rng.integers(1, 128, 6), case.rng.integers(1, 128, 6)
    limit = threshold(int((row * column).sum()), case.integer(10, 100))
    y_scale = float(np.float32(float(scales[0]) * float(scales[1]) / limit))
    # The product alone is rounded.
    if (float(scales[0] * scales[1]) < limit * y_scale) == (float(scales[0]) * float(scales[1]) < limit * y_scale):
        raise Refused("float32 and float64 give the same")
    return scales, row, column, y_scale


def fully_connected(case):
    scales, row, column, y_scale = products(case)
    x = case.input([1, 6], scale=scales[0], data=np.tile(row, (2, 1, 1)))
    w = case.constant("weights", column[None], "int8", scale=scales[1])
    y = case.output([1, 1], scale=y_scale)
    none = fused("NONE")
    case.op("FULLY_CONNECTED", [x, w], [y], "FullyConnectedOptions", 5, keepNumDims=False, fusedActivationFunction=none)


def batch_matmul(case):
    scales, row, column, y_scale = products(case)
    a = case.input([1, 6], scale=scales[0], data=np.tile(row, (2, 1, 1)))
    b = case.input([6, 1], scale=scales[1], data=np.tile(column[:, None], (2, 1, 1)))
    y = case.output([1, 1], scale=y_scale)
    case.op("BATCH_MATMUL", [a, b], [y], "BatchMatMulOptions", 4)


def svdf(case):
    """The state has twice the sum of products; the scale of its weights decides."""
    row, column = case.rng.integers(1, 128, 6), case.rng.integers(1, 64, 6)
    state_scale, time_scale, weight = 2.0**-12, np.float32(case.log_uniform(0.001, 0.02)), case.integer(100, 3000)
    value = min(2 * int((row * column).sum()), 32767) * weight
    limit = threshold(value, case.integer(10, 100))
    y_scale = state_scale * float(time_scale) / limit
    differing(limit, [state_scale, time_scale], y_scale)
    operands = [
        case.input([1, 6], scale=2.0**-5, data=np.tile(row, (2, 1, 1))),
        case.constant("weights_feature", column[None], "int8", scale=2.0**-6),
        case.constant("weights_time", [[weight]], "int16", scale=time_scale),
        case.constant("bias", [0], scale=np.float32(state_scale) * time_scale),
        case.tensor("state", [1, 1], "int16", state_scale, 0, variable=True),
    ]
    y = case.output([1, 1], scale=y_scale)
    case.op("SVDF", operands, [y], "SVDFOptions", 3, rank=1, fusedActivationFunction=fused("NONE"))


@operator
def scales(case):
    kinds = [relu, absolute, leaky_relu, mean, hard_swish, sub, fully_connected, batch_matmul, svdf]
    kind = case.turn(kinds)
    kind(case)
    case.say(kind.__name__)
