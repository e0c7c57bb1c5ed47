"""Operators of two inputs element by element, sums over axes and softmax."""
import numpy as np

from model import fused

OPERATORS = {}


def operator(*references):
    def register(function):
        OPERATORS[function.__name__] = (function, list(references or ["tflm"]))
        return function

    return register


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
    factors = [case.log_uniform(0.4, 2.5) for _ in range(3)]
    factors[{"first": 0, "second": 1, "wide": 2}.get(kind, 0)] *= 1 if kind in ("similar", "narrow") else 300
    factors[2] *= 0.05 if kind == "narrow" else 1
    case.say("scales", kind)
    return [base * factor for factor in factors]


@operator()
def add(case):
    binary(case, "ADD", "AddOptions", 2, sum_scales(case))


@operator()
def softmax(case):
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
    y = case.output([*rows, depth], scale=1 / 256, zero=-128)
    case.op("SOFTMAX", [x], [y], "SoftmaxOptions", 2, beta=beta)
    case.say(f"depth {depth} beta {beta} scale {scale:.3g}")
