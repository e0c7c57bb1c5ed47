"""Functions of one value: each case feeds all 256 values, in order and backwards."""
import math

import numpy as np

OPERATORS = {}
EVERY = np.arange(-128, 128)


def operator(*references):
    def register(function):
        OPERATORS[function.__name__] = (function, list(references or ["tflm"]))
        return function

    return register


def every_value(case, scale, zero, values=EVERY, dtype="int8", channels=1):
    """An input that holds all values twice over, in one of several shapes."""
    count = len(values)
    shapes = [[1, count], [count], [1, 2, count // 2, 1]] if count % 2 == 0 else [[1, count], [count]]
    if count == 256:
        shapes.append([1, 16, 2, 8])
    shape = case.turn(shapes)
    data = np.stack([values, values[::-1]]).reshape([2, *shape])
    return case.input(shape, dtype, scale, zero, data), shape


def unary(case, code, function=None, options=None, version=1, same=False, output=None, input_zero=None,
          scales=(0.002, 0.3), only=None, **fields):
    """Adds the operator; its output's range is that of the function, somewhat less or somewhat more."""
    scale = case.log_uniform(*scales)
    zero = case.zero_point() if input_zero is None else case.turn(input_zero)
    values = EVERY if only is None else EVERY[only(EVERY, zero)]
    x, shape = every_value(case, scale, zero, values)
    if same:
        y_scale, y_zero = scale, zero
    elif output:
        y_scale, y_zero = output
    else:
        with np.errstate(all="ignore"):
            real = np.array([function(v) for v in (values - zero) * scale])
        real = np.clip(real[np.isfinite(real)], -1e6, 1e6)
        low, high = min(0, real.min()), max(0, real.max())
        y_scale = max((high - low) / 255, 1e-4) * case.turn([1, 0.6, 1, 3, 1, 1.3])
        y_zero = int(np.clip(round(-128 - low / y_scale), -128, 127))
        if case.turn([False, False, False, True]):
            y_zero = case.zero_point()
    y = case.output(shape, scale=y_scale, zero=y_zero)
    case.op(code, [x], [y], options, version, **fields)
    case.say(f"scale {scale:.3g} zero point {zero}")


@operator()
def relu(case):
    unary(case, "RELU", lambda v: max(v, 0), version=2)


@operator()
def relu6(case):
    unary(case, "RELU6", same=True, version=2, scales=(0.02, 0.1))


@operator("litert")
def relu_n1_to_1(case):
    unary(case, "RELU_N1_TO_1", lambda v: min(max(v, -1), 1), same=case.turn([True, False]))


@operator()
def leaky_relu(case):
    alpha = case.turn([0.1, 0.01, 0.3, 0.5, 1.5, -0.2, 0.0, 1e-4])
    case.say(f"alpha {alpha}")
    unary(case, "LEAKY_RELU", lambda v: v if v > 0 else alpha * v, "LeakyReluOptions", 2, alpha=alpha)


@operator()
def prelu(case):
    """Slopes of each channel, of one for all, or of each element."""
    shape = [case.integer(1, 2), case.integer(2, 5), case.integer(2, 5), case.integer(1, 9)]
    slopes = case.turn([[1, 1, shape[3]], [1, 1, 1], shape[1:], [1, 1, shape[3]]])
    scale, zero, y_zero = case.log_uniform(0.005, 0.1), case.zero_point(), case.zero_point()
    slope_scale, slope_zero = case.log_uniform(0.001, 0.02), case.turn([0, case.zero_point()])
    drawn = case.rng.integers(-128, 128, slopes)
    x = case.input(shape, scale=scale, zero=zero)
    alpha = case.constant("alpha", drawn, "int8", scale=slope_scale, zero=slope_zero)
    y = case.output(shape, scale=scale * case.turn([1, 0.5, 1, 2, 0.1, 7]), zero=y_zero)
    case.op("PRELU", [x, alpha], [y], version=1)
    case.say(f"slopes {slopes}")


def hard_swish_of(v):
    return v * min(max(v + 3, 0), 6) / 6


@operator()
def hard_swish(case):
    unary(case, "HARD_SWISH", hard_swish_of, "HardSwishOptions", scales=(0.01, 0.15))


@operator()
def logistic(case):
    unary(case, "LOGISTIC", output=(1 / 256, -128), version=2, scales=(0.0005, 0.6))


@operator()
def tanh(case):
    unary(case, "TANH", output=(1 / 128, 0), version=2, scales=(0.0005, 0.1))


@operator()
def elu(case):
    unary(case, "ELU", lambda v: v if v > 0 else math.expm1(v))


@operator("litert")
def gelu(case):
    approximate = case.turn([False, True])
    case.say("approximate" if approximate else "")
    unary(
        case, "GELU", lambda v: v / 2 * (1 + math.erf(v / math.sqrt(2))), "GeluOptions", 2, approximate=approximate,
        scales=(0.005, 0.08),
    )


@operator("litert")
def exp(case):
    unary(case, "EXP", np.exp, "ExpOptions", 2, scales=(0.001, 0.03))


@operator("litert")
def log(case):
    unary(case, "LOG", np.log, version=2, input_zero=[-128, -128, -100, 0, -120])


@operator("litert")
def sqrt(case):
    unary(case, "SQRT", np.sqrt, version=2, only=lambda v, zero: v >= zero)


@operator()
def rsqrt(case):
    unary(
        case, "RSQRT", lambda v: 1 / np.sqrt(v) if v > 0 else 0, version=2, input_zero=[-128, -128, -101, 0, -120, 100],
        only=lambda v, zero: v >= zero,
    )


@operator()
def abs(case):
    unary(case, "ABS", np.abs, "AbsOptions", 2)


def halves(scale, zero, low, high):
    """Values in the middle between two steps, at them, beside them and far outside."""
    steps = np.arange(low - zero - 3, high - zero + 4)
    values = np.concatenate([steps + 0.5, steps, steps + 0.499, steps - 0.501]) * np.float64(scale)
    return np.concatenate([values, [-1e6 * scale, 1e6 * scale, 0.0, -0.0]]).astype(np.float32)


@operator("tflm", "litert")
def quantize(case):
    """From float32, and from one integer quantisation to another."""
    source, target = case.turn(
        [["float32", "int8"], ["int8", "int8"], ["int8", "uint8"], ["uint8", "int8"], ["float32", "uint8"],
         ["int8", "int8"]]
    )  # fmt: skip
    limits = np.iinfo(target)
    y_zero = case.zero_point(limits.min, limits.max)
    if source == "float32":
        y_scale = case.turn([2.0**-5, case.log_uniform(0.001, 0.3)], 3)
        values = case.rng.permutation(halves(y_scale, y_zero, limits.min, limits.max))[:240]
        data = np.stack([values, values[::-1] + np.float32(case.turn([0, 1e-3]))])[:, None]
        x = case.input([1, 240], source, data=data)
        shape = [1, 240]
    else:
        scale = case.log_uniform(0.003, 0.2)
        given = np.iinfo(source)
        zero = case.zero_point(given.min, given.max)
        x, shape = every_value(case, scale, zero, EVERY - (-128 - given.min), source)
        ratio = case.turn([1.0, 0.5, 1.3, 1.0, 7, 0.01, 0.77, 2.0, 300])
        y_scale = scale / ratio
        if case.turn([False, False, False, False, False, True]):
            y_scale, y_zero = scale, zero if given.min == limits.min else zero + limits.min - given.min
        case.say(f"ratio {ratio}")
    y = case.output(shape, target, y_scale, y_zero)
    case.op("QUANTIZE", [x], [y], "QuantizeOptions", 1)
    case.say(f"{source} to {target}")


@operator()
def quantize_words(case):
    """From one integer quantisation to another, one of the two with more than 8 bits."""
    source, target = case.turn(
        [["int16", "int8"], ["int16", "int32"], ["int8", "int16"], ["int8", "int32"], ["int16", "int16"],
         ["int32", "int8"], ["int32", "int16"]]
    )  # fmt: skip
    scale = case.log_uniform(1e-5, 0.1)
    ratio = case.turn([1.0, 0.5, 1.3, 0.004, 7, 0.01, 0.77, 2.0, 300, 1 / 256, 1 / 65536])
    zeros = [0 if kind != "int8" else case.zero_point() for kind in (source, target)]
    if source == "int32":
        data = case.rng.integers(-(2**20), 2**20, [2, 1, 120])
        data[1, 0, :60] >>= case.rng.integers(1, 16)
        x = case.input([1, 120], source, scale, zeros[0], data=data.astype(np.int32))
    else:
        x = case.input([1, 120], source, scale, zeros[0])
    y = case.output([1, 120], target, scale / ratio, zeros[1])
    case.op("QUANTIZE", [x], [y], "QuantizeOptions", 1)
    case.say(f"{source} to {target}, ratio {ratio}")


@operator()
def dequantize(case):
    source = case.turn(["int8", "int8", "uint8", "int16"])
    scale = case.log_uniform(1e-5, 2)
    limits = np.iinfo(source)
    if source == "int16":
        x = case.input([1, 120], source, scale, 0)
        shape = [1, 120]
    else:
        x, shape = every_value(case, scale, case.zero_point(limits.min, limits.max), EVERY + 128 + limits.min, source)
    y = case.output(shape, "float32")
    case.op("DEQUANTIZE", [x], [y], "DequantizeOptions", 2)
    case.say(f"from {source}")
