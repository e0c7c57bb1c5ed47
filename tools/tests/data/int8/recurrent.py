"""Operators with state: their invocations are steps in a row."""
import numpy as np

from model import fused

OPERATORS = {}


def operator(function):
    OPERATORS[function.__name__] = (function, ["tflm"])
    return function


def steps(case, count, shape, zero):
    """Any values, with a step of extremes and one of zero points among them."""
    data = case.rng.integers(-128, 128, (count, *shape))
    data[1] = case.rng.choice([-128, 127, zero], shape)
    data[2] = zero
    return data


@operator
def svdf(case):
    batch, inputs, units = case.turn([1, 1, 1, 2]), case.integer(1, 20), case.integer(1, 6)
    rank, memory = case.turn([1, 2, 1, 3]), case.turn([case.integer(2, 6), case.integer(3, 9), 1])
    filters = units * rank
    x_scale, x_zero = case.log_uniform(0.005, 0.1), case.zero_point()
    w_scale, y_scale = case.log_uniform(0.002, 0.02), case.log_uniform(0.01, 0.1)
    time_width = case.choose([32767, 3000])
    reach = np.sqrt(inputs) * np.hypot(74, x_zero) * 73 * case.log_uniform(0.8, 4)
    state_scale = np.float32(x_scale * w_scale * reach / 32767)
    # The scale of the sum over time that fills the output.
    total = np.sqrt(memory * rank) * 32767 / 3 * time_width / 2 * state_scale
    t_scale = np.float32(y_scale * case.log_uniform(30, 150) / total)
    data = steps(case, memory + 4, [batch, inputs], x_zero)
    relu = case.turn([True, False, True])
    y_zero = -128 if relu else case.zero_point()
    time_weights = case.rng.integers(-time_width, time_width + 1, [filters, memory])
    bias = case.rng.normal(0, y_scale * 40 / (state_scale * t_scale), [units])
    operands = [
        case.input([batch, inputs], scale=x_scale, zero=x_zero, data=data),
        case.constant("weights_feature", case.weights([filters, inputs]), "int8", scale=w_scale),
        case.constant("weights_time", time_weights, "int16", scale=t_scale),
        case.constant("bias", bias, scale=state_scale * t_scale),
        case.tensor("state", [batch, memory * filters], "int16", state_scale, 0, variable=True),
    ]
    y = case.output([batch, units], scale=y_scale, zero=y_zero)
    activation = "RELU" if relu else "NONE"
    case.op("SVDF", operands, [y], "SVDFOptions", 3, rank=rank, fusedActivationFunction=fused(activation))
    case.say(activation, f"rank {rank} memory {memory} steps {len(data)}")


@operator
def unidirectional_sequence_lstm(case):
    batch, time = case.turn([1, 1, 2]), case.turn([1, 4, 3])
    inputs, units = case.integer(1, 10), case.integer(1, 8)
    major = case.turn([False, False, False, True])
    x_scale, x_zero = case.log_uniform(0.005, 0.05), case.zero_point()
    h_scale, h_zero = case.turn([1 / 128, case.log_uniform(0.003, 0.012)]), case.turn([0, case.integer(-40, 40)])
    power = case.turn([-11, -12, -10, -9, -11, -13])
    clip = case.turn([0.0, 10.0, 0.0, 1.5])
    shape = [time, batch, inputs] if major else [batch, time, inputs]
    x = case.input(shape, scale=x_scale, zero=x_zero, data=steps(case, 4, shape, x_zero))
    reach = case.log_uniform(0.5, 3)
    w_scale = reach / (np.sqrt(inputs) * np.hypot(74, x_zero) * 73 * x_scale)
    r_scale = reach / (np.sqrt(units) * 60 * 73 * h_scale)
    gates = ["input", "forget", "cell", "output"]
    scales = {gate: np.float32(w_scale * case.log_uniform(0.6, 1.6)) for gate in gates}
    operands = [x]
    for gate in gates:
        drawn = case.weights([units, inputs])
        operands.append(case.constant(f"input_to_{gate}", drawn, "int8", scale=scales[gate]))
    for gate in gates:
        scale = r_scale * case.log_uniform(0.6, 1.6)
        operands.append(case.constant(f"recurrent_to_{gate}", case.weights([units, units]), "int8", scale=scale))
    operands += [-1] * 3
    for gate in gates:
        scale = np.float32(x_scale) * scales[gate]
        drawn = case.rng.normal(0, 0.7 / scale, [units])
        operands.append(case.constant(f"{gate}_bias", drawn, scale=scale))
    operands += [-1] * 2
    operands.append(case.tensor("hidden", [batch, units], "int8", h_scale, h_zero, variable=True))
    operands.append(case.tensor("cell", [batch, units], "int16", 2.0**power, 0, variable=True))
    operands += [-1] * 4
    y = case.output([*shape[:2], units], scale=h_scale, zero=h_zero)
    between = [case.tensor(f"between_{gate}", [0], "int16", 2.0**-12) for gate in gates]
    between.append(case.tensor("between_hidden", [0], "int8", h_scale, h_zero))
    case.op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", operands, [y], "UnidirectionalSequenceLSTMOptions", 3, intermediates=between,
        fusedActivationFunction=fused("TANH"), cellClip=clip, projClip=0.0, timeMajor=major,
    )
    case.say(f"{time} steps {units} units cell 2^{power} clip {clip}", "time-major" if major else "")
