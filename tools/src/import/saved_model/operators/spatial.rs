//! Convolutions, pooling, resizing and batch normalisation over images.

use serde_json::{Value as Json, json};

use super::super::known::Known;
use super::super::lower::Lowering;
use super::{Args, Value, one, phases};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::Argument;

pub(super) const NAMES: &[&str] = &[
    "AvgPool",
    "Conv2D",
    "Conv2DBackpropInput",
    "DepthwiseConv2dNative",
    "FusedBatchNorm",
    "FusedBatchNormV2",
    "FusedBatchNormV3",
    "MaxPool",
    "ResizeBilinear",
    "ResizeNearestNeighbor",
];

pub(super) fn evaluate(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<Value, Fault> {
    let node = args.node;
    if node.text("data_format").is_some_and(|format| format != "NHWC") {
        return Err(Fault::Unsupported {
            what: format!("{} with channels first", node.op),
            remedy: "build the model with `data_format=\"channels_last\"` and export it again".into(),
        });
    }
    let made = match node.op.as_str() {
        "Conv2D" | "DepthwiseConv2dNative" => return convolution(low, args),
        "Conv2DBackpropInput" => {
            let kernel = kernel(args, 1)?;
            let x = args.tensor(low, 2)?;
            let mut config = window(args, &kernel.shape[..2])?;
            if config["padding"] == "explicit" {
                return Err(args.unsupported());
            }
            config["filters"] = kernel.shape[2].into();
            let wanted = args.integers(0)?;
            // A convolution of the result must give the input: for each axis, what is beyond the smallest such.
            let [rows, columns] = [1, 2].map(|axis| {
                let extent = i64::from(low.builder.graph.dims(x).get(axis).copied().unwrap_or(0));
                let number = |key: &str| config[key][axis - 1].as_i64().unwrap_or(1);
                let (stride, size) = (number("strides"), number("kernel_size"));
                let pad = if config["padding"] == "same" { size / 2 } else { 0 };
                wanted.get(axis).copied().unwrap_or(0) - ((extent - 1) * stride + size - 2 * pad)
            });
            config["output_padding"] = json!([rows, columns]);
            if rows < 0 || columns < 0 {
                config["output_padding"] = Json::Null;
            }
            let weights = vec![low.weight(&kernel)];
            let y = low.builder.foreign_layer("Conv2DTranspose", config, weights, x)?;
            let made: Vec<i64> = low.builder.graph.dims(y).iter().map(|&extent| extent.into()).collect();
            if made != wanted { Err(args.unsupported()) } else { Ok(y) }
        }
        "MaxPool" | "AvgPool" => {
            let sizes = args.node.ints("ksize").unwrap_or_default();
            let [1, rows, columns, 1] = *sizes else { return Err(args.unsupported()) };
            let mut config = window(args, &[rows as usize, columns as usize])?;
            if config["padding"] == "explicit" {
                return Err(args.unsupported());
            }
            config["pool_size"] = config["kernel_size"].take();
            let class = if node.op == "MaxPool" { "MaxPooling2D" } else { "AveragePooling2D" };
            let x = args.tensor(low, 0)?;
            low.builder.foreign_layer(class, config, Vec::new(), x)
        }
        "ResizeBilinear" | "ResizeNearestNeighbor" => {
            let flag = |name: &str| node.bool(name).unwrap_or(false);
            if !flag("half_pixel_centers") || flag("align_corners") {
                return Err(Fault::Unsupported {
                    what: format!("{} without half-pixel centres", node.op),
                    remedy: "resize with `keras.layers.Resizing` or `UpSampling2D`".into(),
                });
            }
            let method = if node.op == "ResizeBilinear" { "bilinear" } else { "nearest" };
            let settings = json!({"size": args.integers(1)?, "method": method});
            let x = args.tensor(low, 0)?;
            one(low.builder.foreign_operation("image.resize", vec![Argument::Tensor(x)], settings)?, args)
        }
        _ => {
            if node.bool("is_training").unwrap_or(true) {
                return Err(Fault::Unsupported {
                    what: "a batch normalisation as in training".into(),
                    remedy: "export the model for inference, as `model.export` does".into(),
                });
            }
            let [scale, offset, mean, variance] =
                [args.known(1)?, args.known(2)?, args.known(3)?, args.known(4)?];
            let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-4));
            let count = scale.values.len();
            if [&offset, &mean, &variance].iter().any(|of| of.values.len() != count) {
                return Err(args.damage("statistics of different lengths"));
            }
            let factors: Vec<f64> =
                scale.values.iter().zip(&variance.values).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
            let terms = offset.values.iter().zip(&mean.values).zip(&factors).map(|((o, m), f)| o - m * f);
            let terms = Known::new(&offset.name, vec![count], terms.collect(), false);
            let factors = Known::new(&scale.name, vec![count], factors, false);
            let x = args.tensor(low, 0)?;
            let factors = low.tensor(&Value::Known(factors))?;
            let terms = low.tensor(&Value::Known(terms))?;
            let pair = |a, b| vec![Argument::Tensor(a), Argument::Tensor(b)];
            let y = one(low.builder.foreign_operation("Multiply", pair(x, factors), json!({}))?, args)?;
            one(low.builder.foreign_operation("Add", pair(y, terms), json!({}))?, args)
        }
    };
    made.map(Value::Tensor)
}

/// A convolution: of phases, those of the convolution whose taps are as far apart.
fn convolution(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<Value, Fault> {
    let kernel = kernel(args, 1)?;
    let mut config = window(args, &kernel.shape[..2])?;
    let (x, steps) = phases::convolved(low, args, &mut config)?;
    let class = if args.node.op == "Conv2D" {
        let depth = low.builder.graph.dims(x).last().copied().unwrap_or(0) as usize;
        config["filters"] = kernel.shape[3].into();
        config["groups"] = depth.checked_div(kernel.shape[2]).unwrap_or(0).into();
        "Conv2D"
    } else {
        config["depth_multiplier"] = kernel.shape[3].into();
        "DepthwiseConv2D"
    };
    let x = padded(low, args, x, &mut config)?;
    let weights = vec![low.weight(&kernel)];
    let y = low.builder.foreign_layer(class, config, weights, x)?;
    Ok(phases::of_convolution(y, steps))
}

fn kernel(args: &Args<'_>, number: usize) -> Result<std::rc::Rc<Known>, Fault> {
    let kernel = args.known(number)?;
    if kernel.shape.len() == 4 && !kernel.shape.contains(&0) {
        Ok(kernel)
    } else {
        Err(args.damage("a kernel that is none"))
    }
}

/// The arguments that Keras' layers with windows share.
fn window(args: &Args<'_>, size: &[usize]) -> Result<Json, Fault> {
    let pair = |name: &str| match args.node.ints(name) {
        None | Some([]) => Ok([1, 1]),
        Some(&[1, rows, columns, 1]) => Ok([rows, columns]),
        Some(_) => Err(args.unsupported()),
    };
    let padding = args.node.text("padding").unwrap_or_default().to_lowercase();
    Ok(json!({
        "kernel_size": size,
        "strides": pair("strides")?,
        "dilation_rate": pair("dilations")?,
        "padding": padding,
        "use_bias": false,
    }))
}

/// Explicit padding comes first.
fn padded(
    low: &mut Lowering<'_, '_>,
    args: &Args<'_>,
    x: TensorId,
    config: &mut Json,
) -> Result<TensorId, Fault> {
    if config["padding"] != "explicit" {
        return Ok(x);
    }
    config["padding"] = "valid".into();
    let pads: Vec<&[i64]> = args.node.ints("explicit_paddings").unwrap_or_default().chunks_exact(2).collect();
    let operands = vec![Argument::Tensor(x)];
    one(low.builder.foreign_operation("Pad", operands, json!({"pad_width": pads}))?, args)
}
