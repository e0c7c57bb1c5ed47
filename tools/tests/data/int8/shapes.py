"""Operators that move values, pad and resize."""
import numpy as np

from model import Refused

OPERATORS = {}


def operator(function):
    OPERATORS[function.__name__] = (function, ["tflm"])
    return function


def some_shape(case, ranks=(4, 3, 4, 2, 4, 1), most=5):
    return [case.integer(1, most) for _ in range(case.turn(ranks))]


def quantisation(case):
    return {"scale": case.log_uniform(0.003, 0.2), "zero": case.zero_point()}


@operator
def concatenation(case):
    count = case.turn([2, 3, 2, 4])
    shape = some_shape(case)
    axis = case.integer(0, len(shape) - 1)
    if case.turn([True, False, False]):
        axis = len(shape) - 1
    q = quantisation(case)
    operands, total = [], 0
    for index in range(count):
        length = case.integer(1, 6)
        total += length
        part = shape[:axis] + [length] + shape[axis + 1 :]
        if index == 1 and case.chance(0.2):
            operands.append(case.constant("constant", case.rng.integers(-128, 128, part), "int8", **q))
        else:
            operands.append(case.input(part, **q))
    y = case.output(shape[:axis] + [total] + shape[axis + 1 :], **q)
    given = axis - len(shape) if case.chance(0.4) else axis
    case.op("CONCATENATION", operands, [y], "ConcatenationOptions", 2, axis=given)
    case.say(f"{count} inputs axis {given} of {len(shape)}")


def pads(case, shape):
    widths = [[case.choose([0, 1, 2]), case.choose([0, 1, 3])] for _ in shape]
    if len(shape) == 4 and case.turn([True, False]):
        widths[0] = widths[3] = [0, 0]
    return widths, [before + n + after for n, (before, after) in zip(shape, widths)]


@operator
def pad(case):
    shape, q = some_shape(case), quantisation(case)
    widths, padded = pads(case, shape)
    operands = [case.input(shape, **q), case.constant("paddings", widths)]
    case.op("PAD", operands, [case.output(padded, **q)], "PadOptions", 2)
    case.say(f"{widths}")


@operator
def padv2(case):
    shape, q = some_shape(case), quantisation(case)
    widths, padded = pads(case, shape)
    value = case.choose([-128, 127, q["zero"], case.integer(-128, 127)])
    value = np.array(value) if case.turn([True, False]) else [value]
    operands = [case.input(shape, **q), case.constant("paddings", widths), case.constant("value", value, "int8", **q)]
    case.op("PADV2", operands, [case.output(padded, **q)], "PadV2Options", 2)
    case.say(f"{widths}")


@operator
def reshape(case):
    shape, q = some_shape(case), quantisation(case)
    count = int(np.prod(shape))
    divisor = case.choose([d for d in range(1, count + 1) if count % d == 0])
    target = case.turn([[1, count], [divisor, count // divisor], [count], [1, divisor, 1, count // divisor]])
    given = list(target)
    if case.turn([False, True, True]):
        given[case.integer(0, len(given) - 1)] = -1
    operands = [case.input(shape, **q)]
    if case.turn([True, True, True, False]):
        operands.append(case.constant("shape", given))
    case.op("RESHAPE", operands, [case.output(target, **q)], "ReshapeOptions", 1, newShape=given)
    case.say(f"{shape} to {given}")


@operator
def transpose(case):
    shape, q = some_shape(case, (4, 3, 4, 2, 4, 5)), quantisation(case)
    order = [int(i) for i in case.rng.permutation(len(shape))]
    if case.number == 0:
        shape, order = [2, 3, 4, 5], [0, 3, 1, 2]
    if case.number == 2:
        shape, order = [2, 3, 4, 5], [0, 2, 3, 1]
    operands = [case.input(shape, **q), case.constant("order", order)]
    case.op("TRANSPOSE", operands, [case.output([shape[i] for i in order], **q)], "TransposeOptions", 2)
    case.say(f"{order}")


@operator
def strided_slice(case):
    shape, q = some_shape(case, (4, 3, 4, 2, 1), 6), quantisation(case)
    begin, end, strides, result = [], [], [], []
    masks = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": 0}
    for axis, n in enumerate(shape):
        stride = case.choose([1, 1, 2, 3, -1, -2])
        first, last = case.integer(0, n - 1), case.integer(0, n - 1)
        if case.chance(0.2):
            masks["shrinkAxisMask"] |= 1 << axis
            begin.append(first - n if case.chance(0.3) else first)
            end.append(first + 1)
            strides.append(1)
            continue
        low, high = min(first, last), max(first, last)
        # An end past the last element taken, in the direction of the stride.
        start, stop = (low, high + 1) if stride > 0 else (high, low - 1)
        if stop < 0 or case.chance(0.25):
            masks["endMask"] |= 1 << axis
            stop, told = (n if stride > 0 else -1), 0
        else:
            told = stop - n if stop < n and case.chance(0.3) else stop
        if case.chance(0.25):
            masks["beginMask"] |= 1 << axis
            start, start_told = (0 if stride > 0 else n - 1), case.integer(0, n - 1)
        else:
            start_told = start - n if case.chance(0.3) else start
        begin.append(start_told)
        end.append(told)
        strides.append(stride)
        result.append(len(range(start, stop, stride)))
    if 0 in result:
        raise Refused("nothing is left")
    operands = [case.input(shape, **q)]
    operands += [case.constant(name, v) for name, v in (("begin", begin), ("end", end), ("strides", strides))]
    case.op("STRIDED_SLICE", operands, [case.output(result, **q)], "StridedSliceOptions", 2, **masks)
    case.say(f"{shape} from {begin} to {end} by {strides} masks {list(masks.values())}")


@operator
def slice(case):
    shape, q = some_shape(case, (4, 3, 4, 2, 1)), quantisation(case)
    begin = [case.integer(0, n - 1) for n in shape]
    size = [case.integer(1, n - b) for n, b in zip(shape, begin)]
    told = [-1 if b + s == n and case.chance(0.5) else s for n, b, s in zip(shape, begin, size)]
    operands = [case.input(shape, **q), case.constant("begin", begin), case.constant("size", told)]
    case.op("SLICE", operands, [case.output(size, **q)], "SliceOptions", 2)
    case.say(f"{shape} from {begin} size {told}")


@operator
def split(case):
    shape, q = some_shape(case, (4, 3, 2)), quantisation(case)
    axis, count = case.integer(0, len(shape) - 1), case.integer(1, 4)
    length = case.integer(1, 3)
    shape[axis] = count * length
    given = axis - len(shape) if case.chance(0.4) else axis
    operands = [case.constant("axis", np.array(given)), case.input(shape, **q)]
    outputs = [case.output(shape[:axis] + [length] + shape[axis + 1 :], **q) for _ in range(count)]
    case.op("SPLIT", operands, outputs, "SplitOptions", 2, numSplits=count)
    case.say(f"axis {given} of {shape} in {count}")


@operator
def split_v(case):
    shape, q = some_shape(case, (4, 3, 2)), quantisation(case)
    axis = case.integer(0, len(shape) - 1)
    sizes = [case.integer(1, 4) for _ in range(case.integer(1, 4))]
    shape[axis] = int(np.sum(sizes))
    told = list(sizes)
    if case.turn([False, False, True]):
        told[case.integer(0, len(sizes) - 1)] = -1
    given = axis - len(shape) if case.chance(0.4) else axis
    operands = [case.input(shape, **q), case.constant("sizes", told), case.constant("axis", np.array(given))]
    outputs = [case.output(shape[:axis] + [n] + shape[axis + 1 :], **q) for n in sizes]
    case.op("SPLIT_V", operands, outputs, "SplitVOptions", 2, numSplits=len(sizes))
    case.say(f"axis {given} of {shape} in {told}")


@operator
def squeeze(case):
    shape, q = some_shape(case, (4, 3, 4, 5)), quantisation(case)
    ones = [i for i in range(len(shape)) if case.chance(0.4)] or [0]
    shape = [1 if i in ones else n for i, n in enumerate(shape)]
    if len(ones) == len(shape):
        shape[-1], ones = 7, ones[:-1]
    every = case.turn([False, False, True])
    ones = [i for i, n in enumerate(shape) if n == 1] if every else ones
    told = [] if every else [i - len(shape) if case.chance(0.4) else i for i in ones]
    left = [n for i, n in enumerate(shape) if i not in ones]
    case.op("SQUEEZE", [case.input(shape, **q)], [case.output(left, **q)], "SqueezeOptions", 1, squeezeDims=told)
    case.say(f"{shape} at {told}")


@operator
def expand_dims(case):
    shape, q = some_shape(case, (3, 2, 3, 1)), quantisation(case)
    axis = case.integer(0, len(shape))
    told = axis - len(shape) - 1 if case.chance(0.4) else axis
    operands = [case.input(shape, **q), case.constant("axis", np.array(told) if case.turn([True, False]) else [told])]
    case.op("EXPAND_DIMS", operands, [case.output(shape[:axis] + [1] + shape[axis:], **q)], "ExpandDimsOptions", 1)
    case.say(f"{shape} at {told}")


@operator
def pack(case):
    shape, q = some_shape(case, (3, 2, 3, 1)), quantisation(case)
    axis, count = case.integer(0, len(shape)), case.integer(1, 4)
    told = axis - len(shape) - 1 if case.chance(0.3) else axis
    operands = [case.input(shape, **q) for _ in range(count)]
    y = case.output(shape[:axis] + [count] + shape[axis:], **q)
    case.op("PACK", operands, [y], "PackOptions", 2, axis=told, valuesCount=count)
    case.say(f"{count} of {shape} at {told}")


@operator
def unpack(case):
    shape, q = some_shape(case, (4, 3, 2)), quantisation(case)
    axis = case.integer(0, len(shape) - 1)
    told = axis - len(shape) if case.chance(0.3) else axis
    outputs = [case.output(shape[:axis] + shape[axis + 1 :], **q) for _ in range(shape[axis])]
    case.op("UNPACK", [case.input(shape, **q)], outputs, "UnpackOptions", 2, axis=told, num=shape[axis])
    case.say(f"{shape} at {told}")


def resize(case, code, options, version):
    shape = [case.turn([1, 1, 2]), case.integer(1, 6), case.integer(1, 6), case.integer(1, 5)]
    align, half = case.turn([[False, False], [True, False], [False, True]])
    size = [case.integer(1, 9), case.integer(1, 9)]
    if case.turn([True, False], 3):
        size = [n * case.choose([2, 2, 3]) for n in shape[1:3]]
    q = quantisation(case)
    operands = [case.input(shape, **q), case.constant("size", size)]
    y = case.output([shape[0], *size, shape[3]], **q)
    case.op(code, operands, [y], options, version, alignCorners=align, halfPixelCenters=half)
    case.say(f"{shape[1:3]} to {size}", "align_corners" if align else "", "half_pixel_centers" if half else "")


@operator
def resize_nearest_neighbor(case):
    resize(case, "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", 3)


@operator
def resize_bilinear(case):
    resize(case, "RESIZE_BILINEAR", "ResizeBilinearOptions", 3)


@operator
def depth_to_space(case):
    block = case.turn([2, 3, 2, 1])
    batch, height, width, depth = case.turn([1, 2]), case.integer(1, 4), case.integer(1, 4), case.integer(1, 4)
    q = quantisation(case)
    x = case.input([batch, height, width, depth * block * block], **q)
    y = case.output([batch, height * block, width * block, depth], **q)
    case.op("DEPTH_TO_SPACE", [x], [y], "DepthToSpaceOptions", 1, blockSize=block)
    case.say(f"block {block}")


@operator
def space_to_depth(case):
    block = case.turn([2, 3, 2, 1])
    batch, height, width, depth = case.turn([1, 2]), case.integer(1, 4), case.integer(1, 4), case.integer(1, 4)
    q = quantisation(case)
    x = case.input([batch, height * block, width * block, depth], **q)
    y = case.output([batch, height, width, depth * block * block], **q)
    case.op("SPACE_TO_DEPTH", [x], [y], "SpaceToDepthOptions", 2, blockSize=block)
    case.say(f"block {block}")
