#!/usr/bin/env python3
"""Small Keras models for `keras_layers.rs`, with what Keras computes.

    python make_layers.py layers/keras3     (with Keras 3 on TensorFlow)
    python make_layers.py layers/keras2     (with TensorFlow 2.15; since `recurrent` with tf_keras 2.21, and
                                             TF_USE_LEGACY_KERAS=1, which is Keras 2 too)

Each case becomes a folder with `model.h5`, `input_<i>.npy` and `output_<i>.npy` of two samples. Layers of
one family that take the same shape are the outputs of one model, to keep the files few and small.
Weights are random, so that a wrong axis shows. A layer that a version of Keras lacks is named.
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np
import tensorflow as tf

keras = tf.keras
L = keras.layers
KERAS3 = hasattr(keras, "ops")
CASES = {}
# Of cases that are saved and cannot be computed: a model that loads their weights.
STAND_INS = {}
FAMILY = ["", {}]


def sequence(name, shape, *layers):
    """Layers, made by functions without arguments, one after the other: an output of the model of all
    such cases of the family."""
    FAMILY[1].setdefault(shape, []).append((name, layers))


def of_one_shape(shape, cases):
    def build():
        x = keras.Input(shape)
        outputs = []
        for name, layers in cases:
            try:
                y = x
                for layer in layers:
                    layer = layer()
                    setattr(layer, "name" if KERAS3 else "_name", name if len(layers) == 1 else layer.name)
                    y = layer(y)
                outputs.append(y)
            except Exception as error:
                print("skipped", name, type(error).__name__, str(error).replace("\n", " ")[:160])
        return keras.Model(x, outputs)

    return build


def graph(name, shapes, function):
    """A function of tensors, which gives a tensor or a list of them."""

    def build():
        inputs = [keras.Input(shape) for shape in shapes]
        return keras.Model(inputs, function(*inputs))

    CASES[name] = build


def activations():
    names = (
        "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid "
        "log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus "
        "sparse_sigmoid squareplus tanh tanh_shrink"
    )
    for name in names.split():
        sequence("activation_" + name, (10,), lambda name=name: L.Activation(name))
        sequence("dense_with_" + name, (5,), lambda name=name: L.Dense(4, activation=name))
    sequence("relu_slope", (10,), lambda: L.ReLU(negative_slope=0.25))
    sequence("relu_max", (10,), lambda: L.ReLU(max_value=0.75))
    sequence("relu_threshold", (10,), lambda: L.ReLU(threshold=0.4))
    sequence("relu_all", (10,), lambda: L.ReLU(max_value=1.0, negative_slope=0.2, threshold=0.5))
    sequence("leaky_relu", (10,), lambda: L.LeakyReLU())
    sequence("prelu", (3, 4), lambda: L.PReLU())
    sequence("prelu_shared_axes", (3, 4, 2), lambda: L.PReLU(shared_axes=[1, 2]))
    sequence("prelu_shared_middle", (3, 4, 2), lambda: L.PReLU(shared_axes=[2]))
    sequence("elu_alpha", (10,), lambda: L.ELU(alpha=0.5))
    sequence("softmax_axis_1", (3, 4), lambda: L.Softmax(axis=1))
    sequence("softmax_axes", (3, 4, 2), lambda: L.Softmax(axis=[1, 2]))
    sequence("softmax_axes_apart", (3, 4, 2), lambda: L.Softmax(axis=[1, 3]))
    sequence("layer_as_activation", (5,), lambda: L.Dense(4, activation=L.LeakyReLU()))
    if KERAS3:
        sequence("conv_with_glu", (5, 4, 3), lambda: L.Conv2D(4, 2, activation="glu"))


def convolutions():
    sequence("conv1d_causal_dilated", (9, 3), lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=3))
    sequence("conv1d_groups", (9, 3), lambda: L.Conv1D(6, 3, groups=3, padding="same"))
    sequence("conv2d_same_dilated", (7, 8, 3), lambda: L.Conv2D(3, (2, 3), padding="same", dilation_rate=2))
    sequence("conv2d_even_kernel_same", (7, 8, 3), lambda: L.Conv2D(3, 4, padding="same", strides=(2, 3)))
    sequence("conv3d_strides", (5, 6, 7, 2), lambda: L.Conv3D(3, (2, 3, 2), strides=(1, 2, 2), padding="same"))
    sequence("conv3d_dilated", (5, 6, 7, 2), lambda: L.Conv3D(2, 2, dilation_rate=(2, 1, 3)))
    sequence("conv1d_transpose_valid", (5, 3), lambda: L.Conv1DTranspose(4, 4, strides=3))
    sequence("conv2d_transpose_stride_over_kernel", (4, 3, 2), lambda: L.Conv2DTranspose(3, 2, strides=3))
    sequence("conv2d_transpose_output_padding", (4, 3, 2),
             lambda: L.Conv2DTranspose(3, 3, strides=2, output_padding=1))
    sequence("conv2d_transpose_same_output_padding", (4, 3, 2),
             lambda: L.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=(1, 0)))
    sequence("conv2d_transpose_dilated", (4, 3, 2), lambda: L.Conv2DTranspose(3, 2, dilation_rate=2))
    sequence("conv2d_transpose_dilated_same", (4, 3, 2),
             lambda: L.Conv2DTranspose(3, 3, dilation_rate=2, padding="same"))
    sequence("conv3d_transpose", (3, 4, 2, 2), lambda: L.Conv3DTranspose(3, 2, strides=2))
    sequence("conv3d_transpose_same", (3, 4, 2, 2),
             lambda: L.Conv3DTranspose(2, 3, strides=(2, 1, 2), padding="same"))
    sequence("depthwise1d_stride", (9, 3), lambda: L.DepthwiseConv1D(3, strides=2, depth_multiplier=2))
    sequence("depthwise2d_dilated", (7, 8, 3), lambda: L.DepthwiseConv2D(3, dilation_rate=2, padding="same"))
    sequence("separable1d_multiplier", (9, 3), lambda: L.SeparableConv1D(4, 3, depth_multiplier=2, padding="same"))
    sequence("separable2d_multiplier", (7, 8, 3),
             lambda: L.SeparableConv2D(4, 3, depth_multiplier=2, strides=2, padding="same"))
    sequence("separable2d_dilated", (7, 8, 3), lambda: L.SeparableConv2D(3, 2, dilation_rate=2, activation="elu"))


def pooling():
    sequence("average_pool_3d_same", (5, 4, 3, 2), lambda: L.AveragePooling3D(2, padding="same"))
    sequence("average_pool_3d_overlap", (5, 4, 6, 2), lambda: L.AveragePooling3D(3, strides=1, padding="same"))
    sequence("average_pool_1d_same", (7, 2), lambda: L.AveragePooling1D(3, strides=2, padding="same"))
    sequence("max_pool_3d_same", (5, 4, 3, 2), lambda: L.MaxPooling3D((2, 3, 2), strides=2, padding="same"))
    sequence("max_pool_2d_strides", (7, 8, 3), lambda: L.MaxPooling2D((3, 2), strides=(1, 2)))
    for layer in ("GlobalAveragePooling3D", "GlobalMaxPooling3D", "GlobalMaxPooling2D"):
        shape = (3, 4, 2, 5) if layer.endswith("3D") else (3, 4, 5)
        sequence(layer.lower(), shape, lambda layer=layer: getattr(L, layer)())
        sequence(layer.lower() + "_keepdims", shape, lambda layer=layer: getattr(L, layer)(keepdims=True))


def normalizations():
    sequence("group_norm", (4, 3, 6), lambda: L.GroupNormalization(3))
    sequence("group_norm_instance", (4, 6), lambda: L.GroupNormalization(-1))
    sequence("group_norm_one", (4, 3, 6), lambda: L.GroupNormalization(1, scale=False))
    sequence("group_norm_axis_1", (6, 4, 3), lambda: L.GroupNormalization(2, axis=1))
    sequence("unit_norm_axes", (3, 4, 2), lambda: L.UnitNormalization(axis=[1, 2]))
    sequence("unit_norm_axis_1", (3, 4, 2), lambda: L.UnitNormalization(axis=1))
    sequence("unit_norm_axes_apart", (3, 4, 2), lambda: L.UnitNormalization(axis=[1, 3]))
    sequence("layer_norm_axis_1", (3, 4, 2), lambda: L.LayerNormalization(axis=1))
    sequence("layer_norm_no_center", (3, 4), lambda: L.LayerNormalization(center=False, epsilon=0.1))
    sequence("batch_norm_axis_1", (3, 4, 5), lambda: L.BatchNormalization(axis=1))
    sequence("batch_norm_axis_2", (3, 4, 5), lambda: L.BatchNormalization(axis=2, center=False))
    sequence("batch_norm_rank_3", (4, 5), lambda: L.BatchNormalization(epsilon=1e-6))
    if KERAS3:
        sequence("rms_norm", (3, 4), lambda: L.RMSNormalization())


def reshaping():
    sequence("crop_1d", (9, 2), lambda: L.Cropping1D((2, 3)))
    sequence("crop_2d_symmetric", (7, 8, 3), lambda: L.Cropping2D((1, 2)))
    sequence("crop_3d", (5, 6, 7, 2), lambda: L.Cropping3D(((1, 0), (2, 1), (0, 3))))
    sequence("up_sampling_2d_uneven", (3, 4, 2), lambda: L.UpSampling2D((1, 3)))
    sequence("up_sampling_2d_bilinear_uneven", (3, 4, 2), lambda: L.UpSampling2D((3, 2), interpolation="bilinear"))
    sequence("up_sampling_3d", (2, 3, 2, 2), lambda: L.UpSampling3D((2, 1, 3)))
    sequence("zero_padding_1d", (4, 2), lambda: L.ZeroPadding1D(2))
    sequence("zero_padding_3d", (2, 3, 2, 2), lambda: L.ZeroPadding3D(((1, 0), (2, 1), (0, 3))))
    sequence("reshape_rank_5", (4, 6), lambda: L.Reshape((2, 2, -1, 3)))
    sequence("permute_3d", (2, 3, 4, 5), lambda: L.Permute((4, 2, 1, 3)))
    sequence("repeat_then_dense", (4,), lambda: L.RepeatVector(3), lambda: L.Dense(2))
    sequence("flatten_of_flat", (6,), lambda: L.Flatten())


def channels_first():
    first = {"data_format": "channels_first"}
    sequence("first_flatten", (2, 6, 5), lambda: L.Flatten(**first))
    sequence("first_zero_padding_2d", (2, 6, 5), lambda: L.ZeroPadding2D(((1, 2), (0, 1)), **first))
    sequence("first_crop_2d", (2, 6, 5), lambda: L.Cropping2D(((1, 2), (0, 1)), **first))
    sequence("first_up_sampling_2d", (2, 6, 5), lambda: L.UpSampling2D((2, 3), **first))
    sequence("first_up_sampling_2d_bilinear", (2, 6, 5), lambda: L.UpSampling2D(2, interpolation="bilinear", **first))
    sequence("first_global_average", (2, 6, 5), lambda: L.GlobalAveragePooling2D(**first))
    sequence("first_batch_norm", (2, 6, 5), lambda: L.BatchNormalization(axis=1))
    if KERAS3:
        sequence("first_conv_2d", (2, 6, 5), lambda: L.Conv2D(3, 2, padding="same", activation="relu", **first))
        sequence("first_conv_2d_softmax", (2, 6, 5), lambda: L.Conv2D(3, 2, activation="softmax", **first))
        sequence("first_max_pool_2d", (2, 6, 5), lambda: L.MaxPooling2D(2, padding="same", **first))
        sequence("first_conv_1d", (3, 8), lambda: L.Conv1D(2, 3, **first))
        sequence("first_conv_2d_transpose", (2, 6, 5), lambda: L.Conv2DTranspose(3, 3, strides=2, padding="same", **first))
        sequence("first_conv_3d", (2, 4, 3, 5), lambda: L.Conv3D(3, 2, **first))


def preprocessing():
    sequence("rescaling_list", (3, 4, 3), lambda: L.Rescaling([0.5, 2.0, -1.0], offset=[1.0, 0.0, 3.0]))
    sequence("rescaling_offset_alone", (4,), lambda: L.Rescaling(1.0, offset=0.5))
    sequence("normalization_scalar", (3, 4), lambda: L.Normalization(axis=None, mean=0.5, variance=2.0))
    sequence("normalization_axes", (3, 4), lambda: L.Normalization(
        axis=[1, 2], mean=np.arange(12.0).reshape(3, 4).tolist(), variance=(np.arange(12.0).reshape(3, 4) / 4).tolist()))
    sequence("normalization_axis_1", (3, 4), lambda: L.Normalization(axis=1, mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.0]))
    sequence("normalization_inverted", (4,), lambda: L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 3.0, 0.0], invert=True))

    def adapted(axis):
        def make():
            layer = L.Normalization(axis=axis)
            data = np.random.default_rng(1).normal(3, 2, (50, 3, 4)).astype("float32")
            layer.adapt(data)
            return layer

        return make

    for name, axis in (("last", -1), ("1", 1), ("none", None), ("both", (1, 2))):
        sequence("normalization_adapted_" + name, (3, 4), adapted(axis))
    sequence("resizing_nearest", (5, 6, 2), lambda: L.Resizing(3, 8, interpolation="nearest"))
    sequence("resizing_nearest_up", (5, 6, 2), lambda: L.Resizing(11, 7, interpolation="nearest"))
    if KERAS3:
        sequence("resizing_pad", (5, 9, 2), lambda: L.Resizing(4, 3, pad_to_aspect_ratio=True, fill_value=0.5))
        sequence("resizing_pad_width", (5, 9, 2), lambda: L.Resizing(7, 16, interpolation="nearest", pad_to_aspect_ratio=True))
    sequence("resizing_crop", (5, 9, 2), lambda: L.Resizing(4, 3, crop_to_aspect_ratio=True))
    sequence("center_crop_too_small", (5, 9, 2), lambda: L.CenterCrop(7, 6))
    sequence("center_crop_odd", (8, 9, 2), lambda: L.CenterCrop(5, 4))


def merging():
    for name in ("Add", "Multiply", "Average", "Maximum", "Minimum"):
        graph(name.lower() + "_ranks", [(3, 4, 2), (2,), (4, 2)],
              lambda a, b, c, name=name: getattr(L, name)()([a, b, c]))
    graph("subtract_ranks", [(3, 4), (4,)], lambda a, b: L.Subtract()([a, b]))
    graph("concatenate_17", [(2, 3)] * 17, lambda *tensors: L.Concatenate(axis=1)(list(tensors)))
    graph("concatenate_negative_axis", [(2, 3), (4, 3)], lambda a, b: L.Concatenate(axis=-2)([a, b]))
    graph("dot_matrices", [(3, 4), (5, 4)], lambda a, b: L.Dot(axes=2)([a, b]))
    graph("dot_axes", [(3, 4), (4, 5)], lambda a, b: L.Dot(axes=(2, 1))([a, b]))
    graph("dot_axis_1", [(3, 4), (3, 5)], lambda a, b: L.Dot(axes=1)([a, b]))
    graph("dot_normalize", [(3, 4), (5, 4)], lambda a, b: L.Dot(axes=-1, normalize=True)([a, b]))
    graph("dot_matrix_vector", [(3, 4), (4,)], lambda a, b: L.Dot(axes=(2, 1))([a, b]))
    graph("dot_vector_matrix", [(3,), (5, 3)], lambda a, b: L.Dot(axes=(1, 2))([a, b]))
    graph("dot_rank_4", [(2, 3, 4), (4, 2)], lambda a, b: L.Dot(axes=(3, 1))([a, b]))


def models():
    def nested(x, y):
        inner_x, inner_y = keras.Input((4,)), keras.Input((3,))
        sum_of = L.Add()([L.Dense(5)(inner_x), L.Dense(5)(inner_y)])
        inner = keras.Model([inner_x, inner_y], [L.ReLU()(sum_of), sum_of], name="inner")
        first, second = inner([x, y])
        third, fourth = inner([L.Dense(4)(second), y])
        return [L.Concatenate()([first, fourth]), third]

    graph("nested_shared_twice", [(4,), (3,)], nested)

    def shared(x, y):
        conv = L.Conv1D(3, 2, activation="tanh")
        return [L.Subtract()([conv(x), conv(y)]), conv(x)]

    graph("shared_three_times", [(5, 2), (5, 2)], shared)

    def deep(x):
        innermost = keras.Sequential([L.Dense(3, activation="relu"), L.BatchNormalization()], name="innermost")
        middle = keras.Sequential([L.Dense(4), innermost, L.Dense(2)], name="middle")
        return L.Dense(2)(middle(x))

    graph("nested_twice", [(5,)], deep)
    graph("input_is_output", [(4,), (3,)], lambda x, y: [x, L.Dense(2)(y)])
    graph("outputs_repeat", [(4,)], lambda x: [L.Dense(2, name="d")(x)] * 2)

    def many_to_many(x, y, z):
        a = L.Concatenate()([z, x])
        return {"last": L.Dense(2)(a), "first": L.Multiply()([L.Dense(3)(y), z])}

    graph("outputs_by_name", [(4,), (2,), (3,)], many_to_many)


def categories():
    words = [7, 3, 11, 42, 5]

    def lookup(x, **arguments):
        return real(L.IntegerLookup(vocabulary=words, **arguments)(x))

    graph("categories_indices", [(4,), (1,)], lambda x, y: [real(L.CategoryEncoding(6, output_mode="multi_hot")(x)),
          real(L.CategoryEncoding(6, output_mode="count")(x)), real(L.CategoryEncoding(7, output_mode="one_hot")(y)),
          real(L.CategoryEncoding(6, output_mode="count")(x, count_weights=x * 0.5))])
    graph("discretization", [(3, 4), (5,)], lambda x, y: [real(L.Discretization([-1.0, -0.2, 0.0, 0.7])(x)),
          real(L.Discretization([0.5, 1.0, 1.5], output_mode="multi_hot")(y)), real(L.Discretization([0.1, -0.1][::-1], output_mode="count")(y))])
    graph("lookup_indices", [(4,), (1,)], lambda x, y: [lookup(x), lookup(x, num_oov_indices=3), lookup(x, mask_token=0), lookup(x, mask_token=0, num_oov_indices=2),
          lookup(x, output_mode="multi_hot"), lookup(x, output_mode="count", num_oov_indices=2), lookup(y, output_mode="one_hot"),
          lookup(x, output_mode="multi_hot", mask_token=0), lookup(x, output_mode="multi_hot", max_tokens=9, pad_to_max_tokens=True), lookup(x, invert=True),
          lookup(x, invert=True, mask_token=0)])

    def hashes():
        x, y = (keras.Input(shape, dtype="int64") for shape in [(5,), (1,)])
        settings = [dict(), dict(salt=137), dict(salt=[133, -(1 << 40)]), dict(mask_value=0), dict(mask_value=18, salt=5),
                    dict(num_bins=1, mask_value=0), dict(num_bins=1 << 24), dict(output_mode="multi_hot"),
                    dict(output_mode="count", mask_value=0)]
        outputs = [real(L.Hashing(**{"num_bins": 11, **of})(x)) for of in settings]
        outputs.append(real(L.Hashing(6, output_mode="one_hot")(y)))
        for of in [dict(), dict(salt=[7, 8]), dict(mask_token=0), dict(output_mode="multi_hot")] if KERAS3 else []:
            outputs.append(lookup(x, num_oov_indices=4, oov_method="farmhash", **of))
        return keras.Model([x, y], outputs)

    CASES["hashing_integers"] = hashes


def real(x):
    return ops_cast(x, "float32")


def spectrograms():
    sizes = [(40, 2), (2, 40)]
    modes = ("log", "magnitude", "psd", "real", "imag", "stft")
    graph("spectrogram", sizes, lambda x, y: [L.STFTSpectrogram(mode, frame_length=8, frame_step=3, fft_length=16)(x) for mode in modes] + [
          L.STFTSpectrogram("psd", frame_length=8, padding="same", expand_dims=True)(x), L.STFTSpectrogram("log", frame_length=7, window="hamming", scaling="spectrum", periodic=True)(x),
          L.STFTSpectrogram("magnitude", frame_length=8, frame_step=5, padding="same")(x),
          L.STFTSpectrogram("real", frame_length=8, scaling=None, window=None, expand_dims=True, padding="same", frame_step=3)(x)])
    common = {"num_mel_bins": 5, "sampling_rate": 1000}
    graph("mel_spectrogram", [(50,)], lambda x: [L.MelSpectrogram(fft_length=32, sequence_stride=8, **common)(x),
          L.MelSpectrogram(fft_length=32, sequence_stride=10, sequence_length=24, window="hamming", min_freq=50.0, max_freq=400, mag_exp=1.0, power_to_db=False, **common)(x),
          L.MelSpectrogram(fft_length=33, sequence_length=25, sequence_stride=5, window=None, mag_exp=1.5, top_db=20.0, ref_power=2.0, min_power=1e-3, **common)(x)])


def attention():
    three = [(5, 6), (7, 6), (7, 6)]
    graph("attention", three, lambda q, v, k: [L.Attention()([q, v, k]), L.Attention(use_scale=True)([q, v]),
          L.Attention()([q, v, k], use_causal_mask=True), L.Attention(score_mode="concat", use_scale=True)([q, v, k]),
          L.Attention(score_mode="concat")([q, v]), *L.Attention(dropout=0.5)([q, v], return_attention_scores=True)])
    graph("attention_additive", three, lambda q, v, k: [L.AdditiveAttention()([q, v, k]), L.AdditiveAttention(use_scale=False)([q, v]),
          L.AdditiveAttention()([q, v, k], use_causal_mask=True)])

    def heads(q, v, k):
        return [L.MultiHeadAttention(2, 3)(q, v), L.MultiHeadAttention(3, 2, value_dim=4)(q, v, k),
                L.MultiHeadAttention(2, 3, use_bias=False, output_shape=5)(q, v),
                L.MultiHeadAttention(2, 3, output_shape=(2, 4))(q, value=v, key=k),
                L.MultiHeadAttention(2, 3)(q, q, use_causal_mask=True),
                *L.MultiHeadAttention(2, 3, dropout=0.1)(q, v, return_attention_scores=True)]

    graph("attention_heads", three, heads)
    masks = [(5, 6), (7, 6), (5, 7), (1, 7)]

    def masked(q, v, mask, row):
        mask, row = (ops_cast(greater(x, 0.0), "bool") for x in (mask, row))
        return [L.MultiHeadAttention(2, 3)(q, v, attention_mask=mask), L.MultiHeadAttention(2, 3)(q, v, attention_mask=row),
                L.MultiHeadAttention(2, 3)(q, v, attention_mask=mask, use_causal_mask=True)]

    graph("attention_masks", masks, masked)
    graph("attention_axes", [(2, 3, 4, 6)], lambda x: [L.MultiHeadAttention(2, 3, attention_axes=2)(x, x),
          L.MultiHeadAttention(2, 3, attention_axes=(2, 3))(x, x), L.MultiHeadAttention(2, 3, attention_axes=(1, 3))(x, x),
          L.MultiHeadAttention(2, 3)(x, x)] + ([L.MultiHeadAttention(2, 3, attention_axes=-2)(x, x)] if KERAS3 else []))
    if KERAS3:
        graph("attention_groups", [(5, 6), (7, 6)], lambda q, v: [L.GroupQueryAttention(3, 4, 2)(q, v), L.GroupQueryAttention(3, 3, 1, use_bias=False)(q, v),
              L.GroupQueryAttention(2, 2, 2)(q, q, use_causal_mask=True)])
        graph("attention_gates", [(5, 6), (7, 6)], lambda q, v: [L.MultiHeadAttention(2, 3, use_gate=True)(q, v),
              L.GroupQueryAttention(3, 4, 2, use_gate=True)(q, v), L.MultiHeadAttention(2, 3, sliding_window=2)(q, q),
              L.MultiHeadAttention(2, 3, sliding_window=3)(q, q, use_causal_mask=True)])
    graph("einsum_dense", [(3, 4)], lambda x: [L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")(x),
          L.EinsumDense("...x,xy->...y", 5, bias_axes="y", activation="relu")(x), L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")(x),
          L.EinsumDense("abc,cde->abed", (None, 2, 3), bias_axes="d")(x), L.EinsumDense("abc,bcd->abd", (3, 5), bias_axes="bd")(x),
          L.EinsumDense("abc,bd->acd", (4, 2))(x), L.EinsumDense("abc,bcd->ad", (2,), bias_axes="d")(x), L.EinsumDense("abc,dc->adb", (5, 3), bias_axes="d")(x),
          L.EinsumDense("ab...,bd->ad...", (2, 4), bias_axes="d")(x), L.EinsumDense("abc,c->abc", (None, 4))(x)])
    graph("embedding_in_time_indices", [(2, 3)], lambda x: L.TimeDistributed(keras.Sequential([keras.Input((3,)), L.Embedding(6, 4), L.Flatten(), L.Dense(3)]))(x))

    def masked_sequences(x, y):
        q, v, k = (L.Embedding(6, 4, mask_zero=True)(indices) for indices in (x, y, y))
        heads = L.MultiHeadAttention(2, 3)(q, v)
        return [L.Attention()([q, v]), L.AdditiveAttention()([q, v, k], use_causal_mask=True), heads, L.MultiHeadAttention(2, 3, dropout=0.1)(q, v, k),
                L.MultiHeadAttention(2, 3)(v, v, use_causal_mask=True), L.GlobalAveragePooling1D()(heads), L.GlobalAveragePooling1D()(L.Attention()([q, v]))]

    def masked_residual(x):
        a, b, c, d = (L.Embedding(6, 4, mask_zero=True)(x) for _ in range(4))
        return [L.GlobalAveragePooling1D()(L.Add()([a, L.MultiHeadAttention(2, 3)(a, a)])), L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3)(b, b)),
                L.LSTM(3)(L.LayerNormalization()(L.Attention()([c, c]))), L.GlobalAveragePooling1D()(L.GroupQueryAttention(3, 4, 2)(d, d, use_causal_mask=True))]

    if KERAS3:
        # Since 3.8, a multi-head attention takes the masks of its inputs away from those that read them afterwards.
        graph("attention_masked_residual_indices", [(5,)], masked_residual)
    else:
        graph("attention_zeros_masked_indices", [(5,), (7,)], masked_sequences)
    graph("embedding_indices", [(5,), (2, 3), ()], lambda x, y, z: [L.Embedding(6, 4)(x), L.Embedding(7, 3)(y), L.Embedding(6, 2)(z)])


if KERAS3:
    from keras import ops

    ops_cast, greater = ops.cast, ops.greater
else:
    ops_cast, greater = tf.cast, tf.greater


def comparisons(cast, where, ops, less, logical, argmax, argmin):
    """Of the functions that Keras 3 and TensorFlow have under one name, and of those that differ."""

    def real(x):
        return cast(x, "float32")

    def compare(x, y):
        x, y = round_(x), round_(y)
        return [real(ops.equal(x, y)), real(ops.not_equal(x, 1.0)), real(ops.greater(x, y)), real(ops.greater_equal(x, y)), real(less(x, y)),
                real(ops.less_equal(1.0, y)), real(x > y), real(x <= y)]

    round_ = ops.round
    sizes = [(3, 4), (3, 4)]
    graph("op_comparisons", sizes, compare)
    graph("op_select", sizes, lambda x, y: [where(x > y, x, y), where(x > 0, x, 0.25), where(y < 0, 0.5, x * y), where(x[:, :1] > 0, x, y)])
    graph("op_logic", sizes, lambda x, y: [real(logical.logical_and(x > 0, y > 0)), real(logical.logical_or(x > 0, y > 0)),
          real(logical.logical_not(x > 0)), real(logical.logical_xor(x > 0, y > 0))])
    graph("op_arg", [(3, 4)], lambda x: [real(argmax(x, axis=1)), real(argmin(x, axis=-1)), real(argmax(round_(x), axis=2))])


def keras_operations():
    from keras import ops

    comparisons(ops.cast, ops.where, ops, ops.less, ops, ops.argmax, ops.argmin)
    graph("op_any_all", [(3, 4)], lambda x: [ops.cast(ops.any(x > 0.9, axis=1), "float32"), ops.cast(ops.all(x > -0.5, axis=(1, 2)), "float32"),
          ops.cast(ops.isfinite(x), "float32"), ops.cast(ops.isnan(ops.sqrt(x)), "float32"), ops.cast(ops.isinf(ops.exp(x * 200.0)), "float32")])
    graph("op_one_hot_indices", [(3,), (3,)], lambda x, y: [ops.one_hot(ops.cast(x, "int32"), 6), ops.one_hot(ops.cast(x, "int32"), 5, axis=1)])
    graph("op_take_indices", [(3,), (6, 4)], lambda x, y: [ops.take(y, ops.cast(x[0], "int32"), axis=1), ops.take(np.arange(12.0).reshape(6, 2).astype("float32"), ops.cast(x, "int32"), axis=0)])
    graph("op_cast", [(6,)], lambda x: [ops.cast(ops.cast(x * 3, "int32"), "float32"), ops.cast(ops.cast(x, "bool"), "float32")])
    graph("op_more", [(3, 4), (4, 5)], lambda x, y: [ops.expm1(x), ops.log1p(ops.abs(x)), ops.cumsum(x, axis=1), ops.cumsum(x, axis=-1), ops.zeros_like(x) + x,
          ops.ones_like(x) - x, ops.full_like(x, 0.5) * x, ops.dot(x, np.arange(8.0).reshape(4, 2).astype("float32"))])
    graph("op_einsum", [(3, 4), (4, 5), (3, 4)], lambda x, y, z: [ops.einsum("abc,acd->abd", x, y), ops.einsum("abc,abc->abc", x, z),
          ops.einsum("abc,adc->abd", x, z), ops.einsum("abc->acb", x), ops.einsum("abc->ac", x), ops.einsum("abc,abd,acd->ab", x, ops.matmul(x, y), y),
          ops.einsum("...bc,...cd->...bd", x, y), ops.einsum("abc,adc->acbd", x, z), ops.einsum("abc,acd", x, y)])

    sizes = [(3, 4), (3, 4)]
    graph("op_arithmetic", sizes, lambda x, y: (2.0 - x) * y / 3.0 + ops.square(y) - x / (ops.abs(y) + 1.0))
    graph("op_constants_left", [(4,)], lambda x: 1.0 / (1.0 + ops.exp(-x)))
    graph("op_lists", [(3,)], lambda x: x * np.array([1.0, 2.0, 3.0], "float32") + 1)
    graph("op_power", [(4,)], lambda x: [x**2, ops.abs(x) ** 0.5, ops.power(ops.abs(x) + 0.1, -1.0), (ops.abs(x) + 1) ** x, x**3])
    graph("op_floor_divide", [(4,)], lambda x: x * 5 // 2)
    graph("op_unary", [(5,)], lambda x: [ops.sin(x), ops.cos(x), ops.sqrt(ops.abs(x)), ops.rsqrt(ops.abs(x) + 1), ops.log(ops.abs(x) + 1),
          ops.log2(ops.abs(x) + 1), ops.log10(ops.abs(x) + 1), ops.negative(x), ops.sign(x), ops.floor(x), ops.ceil(x), ops.round(x * 2),
          ops.erf(x), ops.reciprocal(x + 9)])
    graph("op_activations", [(6,)], lambda x: [ops.relu(x), ops.relu6(x * 4), ops.sigmoid(x), ops.silu(x), ops.gelu(x), ops.gelu(x, approximate=False),
          ops.elu(x, 0.5), ops.selu(x), ops.celu(x, 0.7), ops.leaky_relu(x, 0.1), ops.hard_sigmoid(x), ops.hard_silu(x), ops.hard_tanh(x),
          ops.log_sigmoid(x), ops.softplus(x), ops.softsign(x), ops.tanh(x), ops.tanh_shrink(x), ops.soft_shrink(x, 0.3),
          ops.hard_shrink(x, 0.3), ops.threshold(x, 0.2, 5.0), ops.sparse_plus(x), ops.sparse_sigmoid(x), ops.squareplus(x, 2), ops.glu(x)])
    graph("op_keras_activations", [(6,)], lambda x: [keras.activations.relu(x, negative_slope=0.1, max_value=0.5), keras.activations.sigmoid(x),
          keras.activations.exponential(x), keras.activations.softmax(x), keras.activations.log_softmax(x)])
    graph("op_softmax", [(3, 4)], lambda x: [ops.softmax(x, axis=1), ops.log_softmax(x), ops.softmax(x)])
    graph("op_clip", sizes, lambda x, y: [ops.clip(x, -0.5, 0.75), ops.maximum(x, y), ops.minimum(x, 0.1), ops.maximum(0.0, y)])
    graph("op_reductions", [(3, 4, 2)], lambda x: [ops.mean(x, axis=1), ops.sum(x, axis=(1, 2)), ops.max(x, axis=-1, keepdims=True),
          ops.min(x, axis=(1, 3)), ops.prod(x, axis=2), ops.mean(x, axis=(1, 3), keepdims=True), ops.var(x, axis=(1, 2)),
          ops.std(x, axis=3, keepdims=True), ops.logsumexp(x, axis=(1, 3)), ops.amax(x, axis=2), ops.amin(x, axis=(2, 3))])
    graph("op_reshape", [(3, 4)], lambda x: [ops.reshape(x, (-1, 12)), ops.reshape(x, (-1, 2, 6)), ops.transpose(x, (0, 2, 1)),
          ops.expand_dims(x, 1), ops.expand_dims(x, -1), ops.squeeze(ops.expand_dims(x, 2), 2), ops.swapaxes(x, 1, 2), ops.moveaxis(x, 1, -1)])
    graph("op_concatenate", sizes, lambda x, y: [ops.concatenate([x, y], axis=1), ops.concatenate([x, y, x], axis=-1),
          ops.stack([x, y], axis=1), ops.stack([x, y, y], axis=-1)])
    graph("op_split", [(6, 4)], lambda x: ops.split(x, 3, axis=1) + ops.split(x, [1, 3], axis=-1))
    graph("op_unstack", [(3, 4)], lambda x: ops.unstack(x, axis=1))
    graph("op_pad", [(3, 4)], lambda x: [ops.pad(x, ((0, 0), (1, 2), (0, 3))), ops.pad(x, ((0, 0), (1, 0), (2, 1)), constant_values=0.5)])
    graph("op_get_item", [(5, 6, 4)], lambda x: [x[:, 0], x[:, -1], x[:, 1:4], x[:, ::2], x[:, ::-1], x[:, 4:1:-2], x[..., 0], x[..., 1:],
          x[:, None], x[:, 2, ..., None], x[:, -3:-1, 1::2, -1], x[:, :, None, 3]])
    graph("op_matmul", [(3, 4), (4, 5)], lambda x, y: [ops.matmul(x, y), ops.matmul(ops.transpose(y, (0, 2, 1)), ops.transpose(x, (0, 2, 1)))])
    graph("op_matmul_constant", [(3, 4)], lambda x: ops.matmul(x, np.arange(8.0).reshape(4, 2).astype("float32")))
    graph("op_matmul_broadcast", [(2, 3, 4), (1, 4, 5)], lambda x, y: ops.matmul(x, y))
    graph("op_repeat", [(3, 4)], lambda x: [ops.repeat(x, 3, axis=1), ops.repeat(x, 2, axis=-1), ops.tile(x, (1, 2, 3)), ops.flip(x, 1), ops.flip(x, (1, 2))])
    graph("op_broadcast_to", [(3, 1)], lambda x: x + ops.broadcast_to(ops.mean(x, axis=(0, 1), keepdims=True) * 0.0, (1, 3, 5)))
    graph("op_take_along_axis", [(3, 4), (3, 4)], lambda x, y: [ops.take_along_axis(x, ops.expand_dims(ops.argmax(y, axis=2), 2), axis=2),
          ops.take_along_axis(x, np.array([[[2, 0, 1, -1], [0, 0, -3, 1]]], "int32"), axis=1), ops.take_along_axis(x, ops.cast(y, "int32"), axis=-2),
          ops.take_along_axis(x[:, :1], np.array([[[3], [-4]]], "int32"), axis=2)])
    graph("op_take", [(5, 4)], lambda x: [ops.take(x, [0, 3, -1], axis=1), ops.take(x, 2, axis=2)])
    graph("op_identities", [(4,)], lambda x: [ops.stop_gradient(x) + 1, ops.cast(x, "float32") * 2])
    graph("op_normalize", [(3, 4)], lambda x: [ops.normalize(x), ops.normalize(x, axis=1)])
    graph("op_resize", [(4, 5, 2)], lambda x: [ops.image.resize(x, (7, 3)), ops.image.resize(x, (8, 10), interpolation="nearest")])
    graph("op_multiply_inputs_broadcast", [(3, 4), (3, 1), (1, 4)], lambda x, y, z: x * y + z)


def tensorflow_operations():
    comparisons(tf.cast, tf.where, tf, tf.less, tf.math, tf.argmax, tf.argmin)
    graph("op_any_all", [(3, 4)], lambda x: [tf.cast(tf.reduce_any(x > 0.9, axis=1), "float32"), tf.cast(tf.reduce_all(x > -0.5, axis=[1, 2]), "float32")])
    graph("op_one_hot_indices", [(3,)], lambda x: [tf.one_hot(tf.cast(x, "int32"), 6), tf.one_hot(tf.cast(x, "int32"), 5, on_value=2.0, off_value=-1.0, axis=1)])
    graph("op_cast", [(6,)], lambda x: [tf.cast(tf.cast(x * 3, "int32"), "float32"), tf.cast(tf.cast(x, "bool"), "float32")])
    sizes = [(3, 4), (3, 4)]
    graph("op_arithmetic", sizes, lambda x, y: (2.0 - x) * y / 3.0 + tf.square(y) - x / (tf.abs(y) + 1.0))
    graph("op_constants_left", [(4,)], lambda x: 1.0 / (1.0 + tf.exp(-x)))
    graph("op_lists", [(3,)], lambda x: x * [1.0, 2.0, 3.0] + 1)
    graph("op_constant_tensor", [(3,)], lambda x: x * tf.constant([1.0, 2.0, 3.0]))
    graph("op_power", [(4,)], lambda x: [x**2, tf.abs(x) ** 0.5, tf.pow(tf.abs(x) + 0.1, -1.0), (tf.abs(x) + 1) ** x])
    graph("op_floor_divide", [(4,)], lambda x: x * 5 // 2)
    graph("op_unary", [(5,)], lambda x: [tf.sin(x), tf.cos(x), tf.sqrt(tf.abs(x)), tf.math.rsqrt(tf.abs(x) + 1), tf.math.log(tf.abs(x) + 1),
          -x, tf.sign(x), tf.floor(x), tf.math.ceil(x), tf.round(x * 2), tf.math.erf(x), tf.math.reciprocal(x + 9),
          tf.math.squared_difference(x, 1.0)])
    graph("op_activations", [(6,)], lambda x: [tf.nn.relu(x), tf.nn.relu6(x * 4), tf.sigmoid(x), tf.nn.silu(x), tf.nn.swish(x), tf.nn.gelu(x),
          tf.nn.elu(x), tf.nn.selu(x), tf.nn.leaky_relu(x, 0.1), tf.nn.leaky_relu(x), tf.nn.softplus(x), tf.nn.softsign(x), tf.tanh(x),
          tf.math.log_sigmoid(x), tf.nn.gelu(x, approximate=True)])
    graph("op_keras_activations", [(6,)], lambda x: [keras.activations.relu(x, alpha=0.1, max_value=0.5), keras.activations.mish(x),
          keras.activations.exponential(x), keras.activations.swish(x), keras.activations.softmax(x), keras.activations.hard_sigmoid(x),
          keras.activations.relu(x), keras.activations.gelu(x), keras.activations.elu(x), keras.activations.selu(x)])
    graph("op_softmax", [(3, 4)], lambda x: [tf.nn.softmax(x, axis=1), tf.nn.log_softmax(x), tf.nn.softmax(x)])
    graph("op_clip", sizes, lambda x, y: [tf.clip_by_value(x, -0.5, 0.75), tf.maximum(x, y), tf.minimum(x, 0.1), tf.maximum(0.0, y)])
    graph("op_reductions", [(3, 4, 2)], lambda x: [tf.reduce_mean(x, axis=1), tf.reduce_sum(x, axis=[1, 2]),
          tf.reduce_max(x, axis=-1, keepdims=True), tf.reduce_min(x, axis=[1, 3]), tf.reduce_prod(x, 2),
          tf.reduce_mean(x, [1, 3], True), tf.math.reduce_variance(x, axis=[1, 2]), tf.math.reduce_std(x, axis=3, keepdims=True),
          tf.reduce_logsumexp(x, axis=[1, 3])])
    graph("op_backend", [(3, 4)], lambda x: [keras.backend.mean(x, axis=1), keras.backend.sum(x, axis=-1, keepdims=True), keras.backend.max(x, axis=1),
          keras.backend.sqrt(keras.backend.abs(x)), keras.backend.square(x), keras.backend.clip(x, -1.0, 1.0), keras.backend.relu(x),
          keras.backend.permute_dimensions(x, (0, 2, 1)), keras.backend.expand_dims(x, -1), keras.backend.concatenate([x, x], 1),
          keras.backend.l2_normalize(x, axis=-1), keras.backend.sigmoid(x), keras.backend.softmax(x), keras.backend.reshape(x, (-1, 12)),
          keras.backend.squeeze(keras.backend.expand_dims(x, 1), 1)])
    graph("op_reshape", [(3, 4)], lambda x: [tf.reshape(x, (-1, 12)), tf.reshape(x, [-1, 2, 6]), tf.transpose(x, (0, 2, 1)),
          tf.expand_dims(x, 1), tf.expand_dims(x, axis=-1), tf.squeeze(tf.expand_dims(x, 2), 2), tf.squeeze(tf.expand_dims(x, 2), axis=[2])])
    graph("op_concatenate", sizes, lambda x, y: [tf.concat([x, y], axis=1), tf.concat([x, y, x], -1), tf.stack([x, y], axis=1), tf.stack([x, y, y], axis=-1)])
    graph("op_split", [(6, 4)], lambda x: tf.split(x, 3, axis=1) + tf.split(x, [1, -1], axis=-1))
    graph("op_unstack", [(3, 4)], lambda x: tf.unstack(x, axis=1))
    graph("op_pad", [(3, 4)], lambda x: [tf.pad(x, [[0, 0], [1, 2], [0, 3]]), tf.pad(x, [[0, 0], [1, 0], [2, 1]], constant_values=0.5)])
    graph("op_get_item", [(5, 6, 4)], lambda x: [x[:, 0], x[:, -1], x[:, 1:4], x[:, ::2], x[:, ::-1], x[:, 4:1:-2], x[..., 0], x[..., 1:],
          x[:, None], x[:, 2, ..., None], x[:, -3:-1, 1::2, -1], x[:, tf.newaxis, :, 3]])
    graph("op_matmul", [(3, 4), (4, 5)], lambda x, y: [tf.matmul(x, y), tf.matmul(x, x, transpose_b=True), tf.matmul(x, x, transpose_a=True), x @ y])
    graph("op_repeat", [(3, 4)], lambda x: [tf.repeat(x, 3, axis=1), tf.tile(x, [1, 2, 3]), tf.reverse(x, [1]), tf.reverse(x, axis=[1, 2])])
    graph("op_gather", [(5, 4)], lambda x: [tf.gather(x, [0, 3, 4], axis=1), tf.gather(x, 2, axis=2)])
    graph("op_identities", [(4,)], lambda x: [tf.stop_gradient(x) + 1, tf.cast(x, tf.float32) * 2, tf.identity(x) * 3, tf.convert_to_tensor(x) - 1])
    graph("op_l2_normalize", [(3, 4)], lambda x: [tf.math.l2_normalize(x, axis=-1), tf.nn.l2_normalize(x, 1)])
    graph("op_resize", [(4, 5, 2)], lambda x: [tf.image.resize(x, (7, 3)), tf.image.resize(x, [8, 10], method="nearest")])
    graph("op_space_to_depth", [(4, 6, 8)], lambda x: [tf.nn.space_to_depth(x, 2), tf.nn.depth_to_space(x, 2)])


def recurrent():
    shape = (5, 3)
    for layer in (L.LSTM, L.GRU, L.SimpleRNN):
        of = "of_" + layer.__name__.lower() + "_"
        sequence(of + "sequences_backwards", shape,
                 lambda layer=layer: layer(4, return_sequences=True, go_backwards=True))
        sequence(of + "no_bias", shape, lambda layer=layer: layer(2, use_bias=False, unroll=True))
    for name in "elu exponential gelu hard_sigmoid leaky_relu linear mish relu relu6 selu silu softplus softsign".split():
        if hasattr(keras.activations, name):
            sequence("of_rnn_with_" + name, shape, lambda name=name: L.SimpleRNN(2, activation=name))
    sequence("of_gru_with_functions", shape,
             lambda: L.GRU(3, activation="softsign", recurrent_activation="hard_sigmoid", reset_after=False))
    sequence("of_lstm_with_functions", shape,
             lambda: L.LSTM(3, activation="elu", recurrent_activation="hard_sigmoid", return_sequences=True))
    sequence("of_cell", shape, lambda: L.RNN(L.GRUCell(3), return_sequences=True))
    sequence("of_cells", shape, lambda: L.RNN([L.LSTMCell(3), L.SimpleRNNCell(2), L.GRUCell(4, reset_after=False)]))
    sequence("of_cells_backwards", shape,
             lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.LSTMCell(2)]), return_sequences=True, go_backwards=True))
    for mode in ("concat", "sum", "mul", "ave"):
        sequence("of_both_" + mode, shape, lambda mode=mode: L.Bidirectional(L.GRU(3), merge_mode=mode))
        sequence("of_both_sequences_" + mode, shape,
                 lambda mode=mode: L.Bidirectional(L.SimpleRNN(3, return_sequences=True), merge_mode=mode))
    sequence("of_two_layers", shape, lambda: L.Bidirectional(
        L.LSTM(3, return_sequences=True), backward_layer=L.GRU(3, return_sequences=True, go_backwards=True)))


def recurrent_states():
    def states(x, h):
        lstm = L.LSTM(4, return_state=True, return_sequences=True)(x)
        back = L.LSTM(4, return_state=True, return_sequences=True, go_backwards=True)(x, initial_state=lstm[1:])
        gru = L.GRU(4, return_state=True)(x, initial_state=h)
        rnn = L.SimpleRNN(4, return_sequences=True)(x, initial_state=gru[1])
        return [*lstm, *back, *gru, rnn]

    def of_cells(x):
        cells = [L.LSTMCell(3), L.GRUCell(2)]
        return tf.nest.flatten(L.RNN(L.StackedRNNCells(cells), return_state=True, return_sequences=True)(x))

    def of_both(x, h):
        apart = L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode=None)(x)
        states = L.Bidirectional(L.LSTM(4, return_state=True))(x)
        begun = L.Bidirectional(L.GRU(4))(x, initial_state=[h, states[1]])
        return [*apart, *states, begun]

    graph("recurrent_states", [(5, 3), (4,)], states)
    graph("recurrent_states_of_cells", [(5, 3)], of_cells)
    graph("recurrent_states_of_both", [(5, 3), (4,)], of_both)


def cudnn():
    """Layers that compute on a GPU alone: on a CPU, layers with Keras' own conversion of their weights do."""
    if KERAS3:
        return

    def model(lstm, gru):
        def build():
            x, h = keras.Input((4, 3)), keras.Input((2,))
            outputs = [lstm(2)(x), gru(2)(x), lstm(4, return_sequences=True, go_backwards=True)(x), gru(3, return_sequences=True)(x),
                       *lstm(2, return_state=True)(x), *gru(2, return_state=True)(x, initial_state=h),
                       L.Bidirectional(lstm(3, return_sequences=True))(x), L.Bidirectional(gru(3))(x)]
            return keras.Model([x, h], outputs)

        return build

    v1 = tf.compat.v1.keras.layers
    CASES["cudnn"] = model(v1.CuDNNLSTM, v1.CuDNNGRU)
    STAND_INS["cudnn"] = model(L.LSTM, lambda *args, **arguments: L.GRU(*args, reset_after=True, **arguments))


def locally_connected():
    if KERAS3:
        return

    def all_forms(x, y):
        first = {"data_format": "channels_first"}
        outputs = []
        for implementation in (1, 2, 3):
            form = {"implementation": implementation}
            outputs += [L.LocallyConnected1D(2, 3, strides=2, activation="relu", **form)(x), L.LocallyConnected1D(3, 2, use_bias=False, **first, **form)(x),
                        L.LocallyConnected2D(2, (2, 3), **form)(y), L.LocallyConnected2D(2, 2, strides=(2, 1), activation="softmax", **first, **form)(y)]
            if implementation > 1:
                outputs += [L.LocallyConnected1D(2, 3, strides=2, padding="same", **form)(x), L.LocallyConnected2D(2, (3, 2), padding="same", **first, **form)(y)]
        return outputs

    graph("locally_connected", [(6, 3), (2, 4, 3)], all_forms)


def conv_lstm():
    """Kernels, strides and sizes are such that the two convolutions of a step pad differently. Each step is
    written out, and models of many steps take long to build: short sequences, few layers in a model."""
    lines, images, volumes = (2, 7, 2), (2, 5, 6, 2), (2, 3, 4, 3, 2)

    def case(name, shape, layer, *args, **arguments):
        sequence("conv_lstm_" + name, shape, lambda: layer(*args, **arguments))

    case("strides_valid", lines, L.ConvLSTM1D, 2, 2, strides=3)
    case("dilated", lines, L.ConvLSTM1D, 2, 2, dilation_rate=2, return_sequences=True)
    case("no_bias", lines, L.ConvLSTM1D, 2, 3, use_bias=False, dropout=0.5, recurrent_dropout=0.5)
    case("functions", lines, L.ConvLSTM1D, 2, 3, padding="same", activation="relu", recurrent_activation="hard_sigmoid")
    case("layer_as_activation", lines, L.ConvLSTM1D, 2, 3, activation=L.LeakyReLU())
    case("plain", images, L.ConvLSTM2D, 3, 3)
    case("same", images, L.ConvLSTM2D, 2, 2, padding="same", return_sequences=True)
    case("strides", images, L.ConvLSTM2D, 2, (1, 3), strides=(2, 1), padding="same", return_sequences=True)
    case("dilated_same", images, L.ConvLSTM2D, 2, 3, dilation_rate=2, padding="same")
    case("backwards", images, L.ConvLSTM2D, 2, 3, return_sequences=True, go_backwards=True)
    case("along_axis", images, L.ConvLSTM2D, 2, 3, activation=None, recurrent_activation="softmax")
    case("volumes", volumes, L.ConvLSTM3D, 2, 2, padding="same", return_sequences=True)
    case("volumes_last", volumes, L.ConvLSTM3D, 2, (2, 3, 1), strides=(1, 2, 1))
    sequence("conv_lstm_in_time", volumes, lambda: L.TimeDistributed(L.ConvLSTM2D(3, 2, return_sequences=True)))

    def of_both(merge_mode, sequences):
        return lambda: L.Bidirectional(L.ConvLSTM2D(2, 3, return_sequences=sequences), merge_mode=merge_mode)

    short = (2, 4, 5, 2)
    sequence("conv_lstm_of_both", short, of_both("concat", False))
    sequence("conv_lstm_of_both_sequences", short, of_both("concat", True))
    sequence("conv_lstm_of_both_added", short, of_both("sum", True))
    sequence("conv_lstm_twice", short, lambda: L.ConvLSTM2D(2, 3, padding="same", return_sequences=True),
             lambda: L.BatchNormalization(), lambda: L.ConvLSTM2D(3, 2, activation="relu"), lambda: L.Flatten(), lambda: L.Dense(2))


def conv_lstm_states():
    def states(x, h):
        first = L.ConvLSTM2D(2, 3, padding="same", return_state=True, return_sequences=True)(x)
        back = L.ConvLSTM2D(2, 3, padding="same", return_state=True, return_sequences=True, go_backwards=True)(x, initial_state=first[1:])
        last = L.ConvLSTM2D(2, 2, padding="same", return_state=True)(x, initial_state=[h, first[2]])
        return [*first, *back, *last]

    def first(x, y):
        first = {"data_format": "channels_first"}
        states = L.ConvLSTM1D(3, 3, return_state=True, **first)(x)
        return [*states, L.ConvLSTM1D(3, 3, return_sequences=True, **first)(x, initial_state=states[1:]),
                L.ConvLSTM2D(3, 2, return_sequences=True, **first)(y), L.ConvLSTM2D(2, 3, strides=2, padding="same", **first)(y)]

    def masked(x):
        m = L.Masking(0.0)(L.ReLU(threshold=0.7)(x))
        outputs = [L.ConvLSTM1D(2, 3, padding="same", return_sequences=True, go_backwards=True)(m),
                   L.Bidirectional(L.ConvLSTM1D(2, 1, return_sequences=True))(m)]
        if KERAS3:
            outputs.append(L.ConvLSTM1D(2, 1, return_sequences=True, zero_output_for_mask=True)(m))
        return outputs

    def masked_steps(x, y):
        mask = ops_cast(greater(y, 0.0), "bool")
        last, *states = L.ConvLSTM2D(2, 2, return_state=True, go_backwards=True)(x, mask=mask)
        return [last, *states, L.ConvLSTM2D(2, 2, return_sequences=True)(x, mask=mask, initial_state=states)]

    graph("conv_lstm_states", [(2, 4, 5, 2), (4, 5, 2)], states)
    graph("conv_lstm_channels_first", [(2, 2, 6), (2, 2, 4, 5)], first)
    graph("conv_lstm_masked", [(3, 4, 2)], masked)
    graph("conv_lstm_masked_steps", [(3, 3, 4, 2), (3,)], masked_steps)


def masks():
    def masked(x, threshold=0.5):
        # About half of the steps are zeros.
        return L.Masking(0.0)(L.ReLU(threshold=threshold)(x))

    def recurrent_layers(x, h):
        m = masked(x)
        outputs = []
        for layer in (L.LSTM, L.GRU, L.SimpleRNN):
            outputs.append(layer(3)(m))
            outputs.append(layer(3, return_sequences=True, go_backwards=True)(m))
            outputs.append(layer(3, return_sequences=True, zero_output_for_mask=True)(m))
        outputs.append(L.GRU(3, reset_after=False, zero_output_for_mask=True)(m))
        outputs.append(L.RNN([L.GRUCell(3), L.SimpleRNNCell(2)], return_sequences=True)(m))
        outputs.append(L.GRU(4, return_sequences=True)(m, initial_state=h))
        outputs.extend(L.GRU(4, return_state=True, go_backwards=True)(m, initial_state=h))
        outputs.append(L.Bidirectional(L.GRU(3))(m))
        outputs.append(L.Bidirectional(L.LSTM(3, return_sequences=True))(m))
        return outputs

    def handed_on(x):
        m = masked(x)
        last = lambda y: L.SimpleRNN(2)(y)
        on = [L.Dense(3, activation="relu"), L.Dropout(0.5), L.LayerNormalization(), L.BatchNormalization(),
              L.Activation("tanh"), L.LeakyReLU(), L.GRU(3, return_sequences=True), L.UnitNormalization(),
              L.Bidirectional(L.GRU(2, return_sequences=True)), L.TimeDistributed(L.Dense(3)), L.Softmax()]
        y, outputs = m, []
        for layer in on[:-1]:
            y = layer(y)
            outputs.append(last(y))
        # Of a softmax, the mask is that of its last axis.
        outputs.append(last(on[-1](L.Dense(x.shape[1])(m))))
        for lost in (L.Conv1D(2, 1), L.Permute((2, 1)), L.Reshape((2, -1)), L.MaxPooling1D(2), L.ZeroPadding1D(1)):
            outputs.append(last(lost(m)))
        outputs.append(L.GlobalAveragePooling1D()(m))
        outputs.append(L.GlobalAveragePooling1D(keepdims=True)(m))
        outputs.append(L.GlobalMaxPooling1D()(m))
        return outputs

    def merged(x, y):
        a, b = masked(x), masked(y, 0.8)
        last = lambda y: L.SimpleRNN(2)(y)
        outputs = [last(layer()([a, b])) for layer in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum)]
        outputs += [last(L.Add()([a, x])), last(L.Add()([x, a])), last(L.Concatenate()([a, b]))]
        outputs += [last(L.Concatenate()([a, x])), last(L.Concatenate(axis=1)([a, b]))]
        if KERAS3:
            outputs.append(last(L.Concatenate(axis=1)([a, x])))
        return outputs

    def nested(x):
        inner = keras.Sequential([keras.Input((6, 2)), L.GRU(2, return_sequences=True), L.Dropout(0.3)])
        a = keras.Input((6, 2))
        begins = keras.Model(a, L.Dense(2)(masked(a)))
        return [L.LSTM(2)(inner(masked(x))), L.LSTM(2)(begins(x)), L.LSTM(2)(inner(x))]

    def chain():
        return keras.Sequential([keras.Input((6, 2)), L.ReLU(threshold=0.5), L.Masking(), L.Dropout(0.2),
                                 L.Bidirectional(L.LSTM(3, return_sequences=True)), L.GRU(2)])

    def stream():
        return keras.Sequential([keras.Input((6, 2)), L.ReLU(threshold=0.5), L.Masking(), L.LSTM(3, return_sequences=True),
                                 L.LayerNormalization(), L.TimeDistributed(L.Dense(4, activation="relu")),
                                 L.GRU(3, reset_after=False, return_sequences=True), L.Dense(3, activation="softmax"),
                                 L.SimpleRNN(2)])

    CASES["stream"] = stream
    graph("masks_recurrent", [(6, 2), (4,)], recurrent_layers)
    graph("masks_handed_on", [(6, 2)], handed_on)
    graph("masks_merged", [(6, 2), (6, 2)], merged)
    graph("masks_nested", [(6, 2)], nested)
    CASES["masks_chain"] = chain


def fill(model, rng):
    """Random weights; variances positive, gains around one. What a layer learned from data stays."""
    learned = {id(weight) for layer in model.layers if isinstance(layer, L.Normalization) for weight in layer.weights}
    for weight in model.weights:
        name = (getattr(weight, "path", None) or weight.name).lower()
        shape = tuple(weight.shape)
        if "seed" in name or id(weight) in learned or "int" in str(weight.dtype) or "count" in name:
            continue
        if "variance" in name:
            values = rng.uniform(0.3, 2.0, shape)
        elif "gamma" in name or "scale" in name:
            values = rng.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            values = rng.normal(0, 1.2 / np.sqrt(max(1, np.prod(shape[:-1]))), shape)
        else:
            values = rng.normal(0, 0.3, shape)
        weight.assign(values.astype("float32"))


def write(folder, name, build):
    rng = np.random.default_rng(sum(map(ord, name)))
    keras.backend.clear_session()
    model = build()
    fill(model, rng)
    # Without XLA, TensorFlow has no convolutions of channels that come first on a CPU.
    if KERAS3 and name == "conv_lstm_channels_first":
        model.jit_compile = True
    # Inputs that count something are of integers, in the element type of reals.
    draw = (lambda shape: rng.integers(0, 6, shape)) if name.endswith("indices") else (lambda shape: rng.normal(0, 1, shape))
    # Of all sizes, and of those in a vocabulary.
    if name.endswith("integers"):
        draw = lambda shape: np.where(rng.random(shape) < 0.2, 7, rng.integers(-2, 3, shape) * 9 ** rng.integers(0, 8, shape))
    samples = [draw((2, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    # One sample at a time: what is computed over a batch is computed over one sample where it is used.
    os.makedirs(folder, exist_ok=True)
    model.save(os.path.join(folder, "model.h5"), include_optimizer=False)
    if name in STAND_INS:
        model = STAND_INS[name]()
        model.load_weights(os.path.join(folder, "model.h5"))
    rows = [model.predict([x[row : row + 1] for x in samples], verbose=0) for row in range(2)]
    # Outputs by name are in the order of their names.
    rows = [[row[key] for key in sorted(row)] if isinstance(row, dict) else row for row in rows]
    rows = [row if isinstance(row, (list, tuple)) else [row] for row in rows]
    for at, x in enumerate(samples):
        np.save(os.path.join(folder, f"input_{at}.npy"), x)
    for at, parts in enumerate(zip(*rows)):
        np.save(os.path.join(folder, f"output_{at}.npy"), np.concatenate([np.asarray(part) for part in parts]))


def main():
    for family in (activations, convolutions, pooling, normalizations, reshaping, channels_first, preprocessing, merging, models, attention, categories, spectrograms,
                   recurrent, recurrent_states, cudnn, locally_connected, conv_lstm, conv_lstm_states, masks):
        FAMILY[:] = [family.__name__, {}]
        family()
        for shape, cases in FAMILY[1].items():
            CASES["_".join([FAMILY[0], *map(str, shape)])] = of_one_shape(shape, cases)
    keras_operations() if KERAS3 else tensorflow_operations()
    only = sys.argv[2:]
    for name, build in CASES.items():
        if only and name not in only:
            continue
        folder = os.path.join(sys.argv[1], name)
        try:
            write(folder, name, build)
        except Exception as error:
            for left in os.listdir(folder) if os.path.isdir(folder) else []:
                os.remove(os.path.join(folder, left))
            if os.path.isdir(folder):
                os.rmdir(folder)
            print("skipped", name, type(error).__name__, str(error).replace("\n", " ")[:160])


if __name__ == "__main__":
    main()
