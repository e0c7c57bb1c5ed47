#!/usr/bin/env python3
"""One-operator float32 models with what TensorFlow Lite computes for them.

Install as `../int8/make.py` says, then

    /opt/tfenv/bin/python make.py

It writes `operators.npz` beside itself. For each case, in the order of its number NN,

    NN_model        the bytes of a `.tflite` file, uint8
    NN_input_<i>    the model's i-th input
    NN_output_<i>   its i-th output, by LiteRT's builtin reference kernels (optimised ones where it
                    has no reference)

The model's description names the case. The same versions give the same bytes.
"""
import io
import os
import sys
import zipfile

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from ai_edge_litert.interpreter import Interpreter, OpResolverType

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "int8"))
from model import Case, fused, padding, schema

CASES = []


def started(model):
    """An interpreter of reference kernels, or of optimised ones for an operator that has no others."""
    try:
        interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    except ValueError:
        kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    return interpreter


def case(f):
    CASES.append(f)
    return f


class Float(Case):
    def __init__(self, name, number):
        super().__init__(name, number, 0)
        self.arrays = []

    def x(self, *shape, low=-2.0, high=2.0):
        index = self.tensor(f"input_{len(self.inputs)}", shape, "float32")
        self.inputs.append(index)
        self.arrays.append(self.rng.uniform(low, high, shape).astype(np.float32))
        return index

    def w(self, *shape, low=-1.0, high=1.0):
        data = self.rng.uniform(low, high, shape).astype(np.float32)
        return self.tensor(f"w_{len(self.tensors)}", shape, "float32", data=data)

    def i(self, data):
        return self.constant(f"c_{len(self.tensors)}", data)

    def y(self, shape=(1,)):
        """An output; its shape is what the runtime says, where it does not ask for it."""
        return self.output(shape, "float32")

    def solve(self):
        """Outputs, and the bytes of the model with the shapes of its outputs."""
        for _ in range(2):
            data = self.pack("litert")
            interpreter = started(data)
            for detail, array in zip(interpreter.get_input_details(), self.arrays):
                interpreter.set_tensor(detail["index"], array)
            interpreter.invoke()
            outputs = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
            for index, array in zip(self.outputs, outputs):
                self.tensors[index].shape = list(array.shape)
        return data, outputs


def simple(operator, shapes, options=None, low=-2.0, high=2.0, inputs=None, outputs=1, shape=(1,), version=1, **fields):
    def made(c):
        xs = [c.x(*shape, low=low, high=high) for shape in shapes]
        xs += [c.i(data) for data in (inputs or [])]
        c.op(operator, xs, [c.y(shape) for _ in range(outputs)], options, version, **fields)

    made.__name__ = operator
    CASES.append(made)


for operator in ["ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "HARD_SWISH", "LOGISTIC", "NEG", "RELU", "RELU6",
                 "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "SIGN", "SIN", "SQUARE", "TANH"]:
    simple(operator, [(2, 3, 5)], low=-7.0, high=7.0)
for operator in ["LOG", "RSQRT", "SQRT"]:
    simple(operator, [(2, 3, 5)], low=0.01, high=9.0)
simple("GELU", [(2, 3, 5)], "GeluOptions", approximate=False)
simple("GELU", [(2, 3, 5)], "GeluOptions", approximate=True)
simple("LEAKY_RELU", [(2, 3, 5)], "LeakyReluOptions", alpha=0.2)
for operator in ["ADD", "SUB", "MUL", "DIV"]:
    name = operator.capitalize() + "Options"
    simple(operator, [(2, 3, 5), (2, 3, 5)], name, low=0.5, fusedActivationFunction=fused("RELU6"))
    simple(operator, [(2, 3, 5), (5,)], name, low=0.5, fusedActivationFunction=fused("RELU_N1_TO_1"))
for operator in ["MAXIMUM", "MINIMUM"]:
    simple(operator, [(2, 3, 5), (1, 5)], "MaximumMinimumOptions")
simple("SQUARED_DIFFERENCE", [(2, 3, 5), (2, 1, 5)], "SquaredDifferenceOptions")
simple("FLOOR_DIV", [(2, 3, 5), (2, 3, 5)], "FloorDivOptions", low=0.3, high=5.0)
simple("POW", [(2, 3, 5), (2, 3, 5)], "PowOptions", low=0.1)
simple("ADD_N", [(2, 3), (2, 3), (2, 3)], "AddNOptions")
simple("SOFTMAX", [(2, 3, 5)], "SoftmaxOptions", beta=1.0)
simple("SOFTMAX", [(2, 5)], "SoftmaxOptions", beta=0.3)
simple("LOG_SOFTMAX", [(2, 3, 5)], "LogSoftmaxOptions")
simple("L2_NORMALIZATION", [(2, 3, 5)], "L2NormOptions")
for operator in ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"]:
    simple(operator, [(2, 3, 4, 5)], "ReducerOptions", inputs=[[1, 2]], keepDims=False)
    simple(operator, [(2, 3, 4, 5)], "ReducerOptions", inputs=[[-1, 1]], keepDims=True)
simple("CONCATENATION", [(2, 3, 5), (2, 4, 5), (2, 1, 5)], "ConcatenationOptions", axis=-2)
simple("CONCATENATION", [(2, 1)] * 18, "ConcatenationOptions", axis=1)
simple("PACK", [(2, 3)] * 3, "PackOptions", axis=-1, valuesCount=3)
simple("UNPACK", [(2, 3, 4)], "UnpackOptions", outputs=3, axis=1, num=3)
simple("PAD", [(2, 3, 4)], "PadOptions", inputs=[[[0, 1], [2, 0], [1, 1]]])
simple("MIRROR_PAD", [(3, 4)], "MirrorPadOptions", inputs=[[[2, 1], [1, 3]]], mode=0)
simple("MIRROR_PAD", [(3, 4)], "MirrorPadOptions", inputs=[[[3, 0], [1, 4]]], mode=1)
simple("RESHAPE", [(2, 3, 4)], "ReshapeOptions", inputs=[[4, -1]], newShape=[4, 6])
simple("SQUEEZE", [(1, 3, 1, 4)], "SqueezeOptions", squeezeDims=[-2])
simple("SQUEEZE", [(1, 3, 1, 4)], "SqueezeOptions", squeezeDims=[])
simple("EXPAND_DIMS", [(3, 4)], "ExpandDimsOptions", inputs=[-1])
simple("TRANSPOSE", [(2, 3, 4, 5)], "TransposeOptions", inputs=[[2, 0, 3, 1]])
simple("SLICE", [(4, 5, 6)], "SliceOptions", inputs=[[1, 0, 2], [2, -1, 3]], shape=(2, 5, 3))
simple("STRIDED_SLICE", [(4, 5, 6)], "StridedSliceOptions", inputs=[[3, 0, 1], [0, 5, 6], [-2, 2, 3]],
       beginMask=0, endMask=1)
simple("STRIDED_SLICE", [(4, 5, 6)], "StridedSliceOptions", inputs=[[-1, 1], [0, 3], [1, 1]],
       shrinkAxisMask=1)
simple("STRIDED_SLICE", [(4, 5, 6)], "StridedSliceOptions", inputs=[[0, 0, 2], [0, 0, 5], [1, 1, 2]],
       ellipsisMask=1, newAxisMask=2)
simple("GATHER", [(3, 7)], "GatherOptions", inputs=[[[5, 3], [1, 1]]], axis=1, batchDims=0)
simple("REVERSE_V2", [(3, 4, 5)], "ReverseV2Options", inputs=[[1]])
simple("TILE", [(2, 1, 3)], "TileOptions", inputs=[[2, 3, 1]])
simple("BROADCAST_TO", [(2, 1, 3)], "BroadcastToOptions", inputs=[[4, 2, 5, 3]], version=2)
simple("DEPTH_TO_SPACE", [(2, 3, 2, 12)], "DepthToSpaceOptions", blockSize=2)
simple("SPACE_TO_DEPTH", [(2, 4, 6, 3)], "SpaceToDepthOptions", blockSize=2)
simple("SPACE_TO_BATCH_ND", [(2, 4, 5, 3)], "SpaceToBatchNDOptions", inputs=[[2, 3], [[1, 1], [0, 1]]])
simple("BATCH_TO_SPACE_ND", [(12, 3, 2, 3)], "BatchToSpaceNDOptions", inputs=[[2, 3], [[1, 0], [0, 2]]])
simple("RESIZE_NEAREST_NEIGHBOR", [(1, 4, 5, 2)], "ResizeNearestNeighborOptions", inputs=[[7, 3]])
simple("RESIZE_NEAREST_NEIGHBOR", [(1, 4, 5, 2)], "ResizeNearestNeighborOptions", inputs=[[7, 3]],
       halfPixelCenters=True)
simple("RESIZE_NEAREST_NEIGHBOR", [(1, 4, 5, 2)], "ResizeNearestNeighborOptions", inputs=[[7, 3]], alignCorners=True)
simple("RESIZE_BILINEAR", [(1, 4, 5, 2)], "ResizeBilinearOptions", inputs=[[7, 3]])
simple("RESIZE_BILINEAR", [(1, 4, 5, 2)], "ResizeBilinearOptions", inputs=[[7, 1]], alignCorners=True)
simple("RESIZE_BILINEAR", [(1, 4, 5, 2)], "ResizeBilinearOptions", inputs=[[7, 3]], halfPixelCenters=True)
simple("AVERAGE_POOL_2D", [(1, 7, 8, 3)], "Pool2DOptions", padding=padding("SAME"), strideH=2, strideW=3,
       filterHeight=3, filterWidth=4, fusedActivationFunction=fused("RELU"))
simple("AVERAGE_POOL_2D", [(1, 7, 8, 3)], "Pool2DOptions", padding=padding("VALID"), strideH=1, strideW=2,
       filterHeight=2, filterWidth=3)
simple("MAX_POOL_2D", [(1, 7, 8, 3)], "Pool2DOptions", padding=padding("SAME"), strideH=3, strideW=2,
       filterHeight=4, filterWidth=3)
simple("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5)], "BatchMatMulOptions")
simple("BATCH_MATMUL", [(2, 4, 3), (5, 4)], "BatchMatMulOptions", adjX=True, adjY=True)


@case
def padv2(c):
    c.op("PADV2", [c.x(2, 3), c.i([[1, 0], [0, 2]]), c.constant("value", 1.5, "float32")], [c.y()],
         "PadV2Options", 1)


@case
def zeros_like(c):
    x = c.x(2, 3)
    zeros = c.tensor("zeros", (2, 3), "float32")
    c.op("ZEROS_LIKE", [x], [zeros], "ZerosLikeOptions", 1)
    c.op("ADD", [x, zeros], [c.y()], "AddOptions", 1)


@case
def prelu(c):
    c.op("PRELU", [c.x(1, 3, 4, 5), c.w(1, 1, 5)], [c.y()], None, 1)


@case
def split(c):
    c.op("SPLIT", [c.i(-1), c.x(2, 3, 6)], [c.y(), c.y(), c.y()], "SplitOptions", 1, numSplits=3)


@case
def split_v(c):
    c.op("SPLIT_V", [c.x(2, 7), c.i([2, -1, 1]), c.i(1)], [c.y(), c.y(), c.y()], "SplitVOptions", 1, numSplits=3)


for stride, dilation, pad in [(1, 1, "SAME"), (2, 1, "SAME"), (2, 1, "VALID"), (1, 2, "SAME")]:
    @case
    def conv_2d(c, stride=stride, dilation=dilation, pad=pad):
        c.op("CONV_2D", [c.x(2, 8, 7, 4), c.w(6, 3, 2, 4), c.w(6)], [c.y()], "Conv2DOptions", 1,
             padding=padding(pad), strideH=stride, strideW=stride + 1 if dilation == 1 else 1,
             dilationHFactor=dilation, dilationWFactor=dilation, fusedActivationFunction=fused("RELU"))

    @case
    def depthwise_conv_2d(c, stride=stride, dilation=dilation, pad=pad):
        c.op("DEPTHWISE_CONV_2D", [c.x(2, 8, 7, 3), c.w(1, 2, 3, 6), c.w(6)], [c.y()], "DepthwiseConv2DOptions", 1,
             padding=padding(pad), strideH=stride, strideW=stride, depthMultiplier=2,
             dilationHFactor=dilation, dilationWFactor=dilation)

    @case
    def transpose_conv(c, stride=stride, pad=pad):
        h, w = (4 * stride, 3 * stride) if pad == "SAME" else (3 * stride + 3, 2 * stride + 4)
        c.op("TRANSPOSE_CONV", [c.i([2, h, w, 5]), c.w(5, 3, 4, 2), c.x(2, 4, 3, 2)], [c.y()],
             "TransposeConvOptions", 1, padding=padding(pad), strideH=stride, strideW=stride)


@case
def fully_connected(c):
    c.op("FULLY_CONNECTED", [c.x(2, 3, 4), c.w(5, 4), c.w(5)], [c.y()], "FullyConnectedOptions", 5, keepNumDims=True)


@case
def fully_connected_flat(c):
    c.op("FULLY_CONNECTED", [c.x(2, 3, 4), c.w(5, 12), -1], [c.y()], "FullyConnectedOptions", 6,
         fusedActivationFunction=fused("RELU6"))


@case
def shapes(c):
    """A reshape to a shape that is computed from the input's."""
    x = c.x(2, 3, 4)
    shape, rows, packed = (c.tensor(n, s, "int32") for n, s in [("shape", [3]), ("rows", []), ("packed", [2])])
    c.op("SHAPE", [x], [shape], "ShapeOptions", 1, outType=schema.TensorType.INT32)
    c.op("STRIDED_SLICE", [shape, c.i([1]), c.i([2]), c.i([1])], [rows], "StridedSliceOptions", 1, shrinkAxisMask=1)
    c.op("PACK", [rows, c.i(-1)], [packed], "PackOptions", 1, valuesCount=2, axis=0)
    c.op("RESHAPE", [x, packed], [c.y()], "ReshapeOptions", 1)


def main():
    with zipfile.ZipFile(os.path.join(HERE, "operators.npz"), "w", zipfile.ZIP_DEFLATED) as archive:
        for number, make in enumerate(CASES):
            made = Float(make.__name__, number)
            make(made)
            model, outputs = made.solve()
            arrays = {"model": np.frombuffer(model, np.uint8)}
            arrays |= {f"input_{k}": array for k, array in enumerate(made.arrays)}
            arrays |= {f"output_{k}": array for k, array in enumerate(outputs)}
            for name, array in arrays.items():
                file = io.BytesIO()
                np.lib.format.write_array(file, np.ascontiguousarray(array))
                archive.writestr(zipfile.ZipInfo(f"{number:03}_{name}.npy"), file.getvalue(), zipfile.ZIP_DEFLATED)
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
