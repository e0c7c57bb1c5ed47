"""Operators that sum products, and pools: the inner kernels of a convolutional net."""
import numpy as np

from model import Refused, fused, padding, window

OPERATORS = {}


def operator(function):
    OPERATORS[function.__name__] = (function, ["tflm"])
    return function


class Scales:
    """Quantisation of a sum of products: `multiplier = input · weights / output`, one for each channel.

    Most cases spread the sums over the range of the output and beyond; some have multipliers above 1 (with
    sums that are small then), some such that nearly vanish.
    """

    def __init__(self, case, channels, terms, per_channel, w_zero=0):
        self.kind = case.turn(["usual", "usual", "usual", "large", "usual", "tiny"])
        self.largest = 2 if self.kind == "large" else 127
        self.near = self.kind == "large"
        self.x_zero, self.y_zero = case.zero_point(), case.zero_point()
        self.y = case.log_uniform(0.004, 0.2)
        self.x = case.log_uniform(0.002, 0.5)
        spread = case.log_uniform(15, 100)
        typical = np.sqrt(terms) * np.hypot(74, self.x_zero) * 73 + terms * abs(self.x_zero * w_zero)
        multiplier = spread / typical
        if self.kind == "large":
            multiplier = case.log_uniform(1.01, 9)
        count = channels if per_channel else 1
        factors = np.exp(case.rng.uniform(-1.2, 1.2, count)) if per_channel else np.ones(1)
        if self.kind == "tiny":
            factors[case.rng.random(count) < 0.5] *= case.choose([1e-3, 1e-6, 1e-9])
        self.w = np.float32(multiplier * self.y / self.x * factors)
        self.sum = spread / multiplier
        case.say("multipliers", self.kind)

    def bias(self, case, channels):
        """Values with scale; now and then one that saturates the output."""
        values = case.rng.normal(0, self.sum, channels)
        if case.chance(0.3):
            values[case.integer(0, channels - 1)] = case.choose([-1, 1]) * case.log_uniform(1e6, 2e7)
        return case.constant("bias", values, scale=np.float32(self.x) * self.w, zero=0)


def side(case, kernel, stride, dilation, name, most=8):
    reach = (kernel - 1) * dilation + 1
    return case.integer(1 if name == "SAME" else reach, max(most, reach + stride))


def convolution(case, kernel=None, stride=None, dilation=None, groups=1, batch=1, in_depth=None, out_depth=None):
    """CONV_2D and its options."""
    name = case.turn(["SAME", "VALID"], 2)
    kernel = kernel or [case.integer(1, 4), case.integer(1, 4)]
    stride = stride or [case.integer(1, 3), case.integer(1, 3)]
    dilation = dilation or [1, 1]
    in_depth = in_depth or case.integer(1, 9)
    out_depth = out_depth or case.integer(1, 9)
    per_channel = case.turn([True, True, True, False])
    height, width = (side(case, k, s, d, name) for k, s, d in zip(kernel, stride, dilation))
    if kernel[0] == 1 and case.operator == "conv_1d":
        height = 1
    scales = Scales(case, out_depth, kernel[0] * kernel[1] * in_depth // groups, per_channel)
    x = case.input([batch, height, width, in_depth], scale=scales.x, zero=scales.x_zero, near=scales.near)
    weights = case.weights([out_depth, *kernel, in_depth // groups], scales.largest)
    operands = [x, case.constant("weights", weights, "int8", scale=scales.w, axis=0)]
    if case.turn([True, True, False, True, True]):
        operands.append(scales.bias(case, out_depth))
    shape = [batch]
    shape += [window(n, k, s, d, name) for n, k, s, d in zip([height, width], kernel, stride, dilation)]
    y = case.output(shape + [out_depth], scale=scales.y, zero=scales.y_zero)
    activation = case.activation()
    case.op(
        "CONV_2D", operands, [y], "Conv2DOptions", 3, padding=padding(name), strideH=stride[0], strideW=stride[1],
        dilationHFactor=dilation[0], dilationWFactor=dilation[1], fusedActivationFunction=fused(activation),
    )
    case.say(name, activation, f"kernel {kernel} stride {stride} dilation {dilation} groups {groups}")


@operator
def conv_2d(case):
    kind = case.number % 8
    if kind == 1:
        convolution(case, kernel=[1, 1], stride=[1, 1], in_depth=case.integer(8, 40), out_depth=case.integer(4, 20))
    elif kind == 2:
        dilation = case.choose([[2, 2], [1, 3], [2, 1]])
        convolution(case, [case.integer(2, 3), case.integer(2, 3)], [case.integer(1, 2)] * 2, dilation)
    elif kind == 3:
        convolution(case, [3, 3], [1, 1], in_depth=case.choose([16, 3, 17]), out_depth=case.choose([4, 8, 5]))
    elif kind == 4:
        groups = case.choose([2, 3, 4])
        depths = [groups * case.integer(1, 3), groups * case.integer(1, 3)]
        convolution(case, groups=groups, in_depth=depths[0], out_depth=depths[1])
    elif kind == 5:
        convolution(case, batch=case.integer(2, 3))
    elif kind == 6:
        convolution(case, kernel=[1, 1], stride=[2, 2])
    else:
        convolution(case)


@operator
def conv_1d(case):
    """CONV_2D of height 1, as a Conv1D becomes."""
    dilation = [1, case.turn([1, 1, 2, 3])]
    stride = [1, 1] if dilation[1] > 1 else [1, case.integer(1, 3)]
    convolution(case, [1, case.integer(1, 6)], stride, dilation)


@operator
def depthwise_conv_2d(case):
    name = case.turn(["SAME", "VALID"], 2)
    multiplier = case.turn([1, 1, 2, 1, 8, 1, 3, 1])
    depth = 1 if case.turn([False, False, False, False, True, False, True]) else case.integer(1, 9)
    if case.number in (8, 11, 17):
        depth = case.choose([16, 19, 33])
    kernel = case.turn([[3, 3], [case.integer(1, 4), case.integer(1, 4)], [1, 5], [3, 3], [2, 1]])
    dilation = [1, 1] if case.number % 6 else case.choose([[2, 2], [3, 1], [1, 2]])
    stride = [1, 1] if dilation != [1, 1] else case.choose([[1, 1], [2, 2], [1, 2], [3, 1], [1, 1]])
    per_channel = case.turn([True, True, True, False])
    batch = case.turn([1, 1, 1, 1, 2])
    most = 6 if depth < 16 else 4
    height, width = (side(case, k, s, d, name, most) for k, s, d in zip(kernel, stride, dilation))
    scales = Scales(case, depth * multiplier, kernel[0] * kernel[1], per_channel)
    x = case.input([batch, height, width, depth], scale=scales.x, zero=scales.x_zero, near=scales.near)
    weights = case.weights([1, *kernel, depth * multiplier], scales.largest)
    operands = [x, case.constant("weights", weights, "int8", scale=scales.w, axis=3)]
    if case.turn([True, True, True, False, True]):
        operands.append(scales.bias(case, depth * multiplier))
    sides = [window(n, k, s, d, name) for n, k, s, d in zip([height, width], kernel, stride, dilation)]
    y = case.output([batch, *sides, depth * multiplier], scale=scales.y, zero=scales.y_zero)
    activation = case.activation()
    case.op(
        "DEPTHWISE_CONV_2D", operands, [y], "DepthwiseConv2DOptions", 3, padding=padding(name), strideH=stride[0],
        strideW=stride[1], dilationHFactor=dilation[0], dilationWFactor=dilation[1], depthMultiplier=multiplier,
        fusedActivationFunction=fused(activation),
    )
    case.say(name, activation, f"kernel {kernel} stride {stride} dilation {dilation} multiplier {multiplier}")


@operator
def transpose_conv(case):
    name = case.turn(["SAME", "VALID"])
    kernel = [case.integer(1, 4), case.integer(1, 4)]
    stride = case.choose([[1, 1], [2, 2], [1, 2], [2, 1], [3, 2]])
    in_depth, out_depth = case.integer(1, 9), case.integer(1, 7)
    sides = [case.integer(1, 5), case.integer(1, 5)]
    batch = case.turn([1, 1, 1, 2])
    if name == "SAME":
        targets = [n * s - case.integer(0, s - 1) for n, s in zip(sides, stride)]
    else:
        targets = [(n - 1) * s + max(k, case.choose([k, s])) for n, s, k in zip(sides, stride, kernel)]
    scales = Scales(case, out_depth, in_depth * kernel[0] * kernel[1], case.turn([True, True, False]))
    weights = case.weights([out_depth, *kernel, in_depth], scales.largest)
    shape = [batch, *targets, out_depth]
    operands = [
        case.constant("output_shape", shape),
        case.constant("weights", weights, "int8", scale=scales.w, axis=0),
        case.input([batch, *sides, in_depth], scale=scales.x, zero=scales.x_zero, near=scales.near),
    ]
    with_bias = case.turn([True, False, True, True])
    if with_bias:
        operands.append(scales.bias(case, out_depth))
    y = case.output(shape, scale=scales.y, zero=scales.y_zero)
    activation = case.turn(["NONE", "NONE", "RELU", "NONE", "RELU6"])
    case.op(
        "TRANSPOSE_CONV", operands, [y], "TransposeConvOptions", 4 if activation != "NONE" else 3,
        padding=padding(name), strideH=stride[0], strideW=stride[1], fusedActivationFunction=fused(activation),
    )
    case.say(name, activation, f"kernel {kernel} stride {stride}")


@operator
def fully_connected(case):
    depth, units = case.integer(1, 70), case.integer(1, 17)
    per_channel = case.turn([False, True, False])
    rows = case.turn([[1], [case.integer(2, 5)], [1], [2, 3], [1, 2, 2]])
    keep = len(rows) > 1 and case.chance(0.6)
    scales = Scales(case, units, depth, per_channel)
    weights = case.weights([units, depth], scales.largest)
    if case.number % 5 == 2:
        weights = np.where(case.rng.random(weights.shape) < 0.3, -128, weights)
        case.say("weights of -128")
    operands = [
        case.input([*rows, depth], scale=scales.x, zero=scales.x_zero, near=scales.near),
        case.constant("weights", weights, "int8", scale=scales.w, axis=0),
        scales.bias(case, units) if case.turn([True, True, True, False]) else -1,
    ]
    if operands[2] == -1 and case.chance(0.5):
        operands.pop()
    count = int(np.prod(rows))
    y = case.output([*rows, units] if keep else [count, units], scale=scales.y, zero=scales.y_zero)
    activation = case.activation()
    case.op(
        "FULLY_CONNECTED", operands, [y], "FullyConnectedOptions", 12 if per_channel else 5, keepNumDims=keep,
        fusedActivationFunction=fused(activation),
    )
    case.say(activation, "per channel" if per_channel else "per tensor", f"rows {rows}", "kept" if keep else "")


@operator
def batch_matmul(case):
    adjoint = case.turn([[False, False], [False, True], [True, False], [True, True]])
    rows, depth, columns = case.integer(1, 5), case.integer(1, 20), case.integer(1, 6)
    batches = case.turn([[[], []], [[2], [2]], [[3], [1]], [[2, 3], [2, 3]], [[2, 1], [1, 3]]])
    w_zero = case.zero_point()
    scales = Scales(case, 1, depth, False, w_zero)
    shapes = [[depth, rows] if adjoint[0] else [rows, depth], [columns, depth] if adjoint[1] else [depth, columns]]
    x = case.input([*batches[0], *shapes[0]], scale=scales.x, zero=scales.x_zero, near=scales.near)
    if case.turn([False, True]):
        weights = case.weights([*batches[1], *shapes[1]], scales.largest)
        w = case.constant("right", weights, "int8", scale=scales.w, zero=w_zero)
    else:
        w = case.input([*batches[1], *shapes[1]], scale=scales.w, zero=w_zero, near=scales.near)
    batch = list(np.broadcast_shapes(*batches))
    y = case.output([*batch, rows, columns], scale=scales.y, zero=scales.y_zero)
    case.op("BATCH_MATMUL", [x, w], [y], "BatchMatMulOptions", 4, adjX=adjoint[0], adjY=adjoint[1])
    case.say(f"adjoint {adjoint} batches {batches}")


def pool(case, code):
    name = case.turn(["SAME", "VALID"], 2)
    kernel = [case.integer(1, 4), case.integer(1, 4)]
    stride = [case.integer(1, 3), case.integer(1, 3)]
    depth = case.turn([case.integer(1, 9), case.integer(1, 9), 16, 19])
    sides = [side(case, k, s, 1, name, 7) for k, s in zip(kernel, stride)]
    if case.number % 6 == 1:
        name, kernel, stride = "VALID", sides, [1, 1]
    batch = case.turn([1, 1, 1, 1, 2])
    scale, zero = case.log_uniform(0.005, 0.15), case.zero_point()
    x = case.input([batch, *sides, depth], scale=scale, zero=zero)
    shape = [batch, *(window(n, k, s, 1, name) for n, k, s in zip(sides, kernel, stride)), depth]
    y = case.output(shape, scale=scale, zero=zero)
    activation = case.activation()
    case.op(
        code, [x], [y], "Pool2DOptions", 2, padding=padding(name), strideH=stride[0], strideW=stride[1],
        filterHeight=kernel[0], filterWidth=kernel[1], fusedActivationFunction=fused(activation),
    )
    case.say(name, activation, f"kernel {kernel} stride {stride}")


@operator
def average_pool_2d(case):
    pool(case, "AVERAGE_POOL_2D")


@operator
def max_pool_2d(case):
    pool(case, "MAX_POOL_2D")
