//! Small models made by hand: what they become, and why they are refused.

use std::path::Path;
use std::sync::Arc;

use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;
use flatpack_format::{DType, OpCode};

use crate::graph::{Data, Graph};
use crate::import::ImportError;
use crate::import::tflite::model::{
    ElementType, Model, Operator, OperatorCode, Quantization, Signature, Subgraph, Tensor,
};
use crate::import::tflite::options::{Concatenation, DepthwiseConv2d, Options, Pack, StridedSlice};
use crate::quant::Quant;

fn tensor<'a>(name: &str, shape: &[i32], element_type: ElementType, data: Option<&'a [u8]>) -> Tensor<'a> {
    Tensor {
        name: name.into(),
        shape: shape.to_vec(),
        shape_signature: None,
        element_type,
        data,
        quantization: None,
        is_variable: false,
        is_sparse: false,
    }
}

fn quantised<'a>(tensor: Tensor<'a>, scales: &[f32], zero_point: i64, axis: i32) -> Tensor<'a> {
    let zero_points = vec![zero_point; scales.len()];
    let quantization = Quantization { scales: scales.into(), zero_points, axis, is_other_scheme: false };
    Tensor { quantization: Some(quantization), ..tensor }
}

fn operator(code: &'static str, inputs: &[usize], output: usize, options: Options) -> Operator<'static> {
    Operator {
        code: OperatorCode::Builtin(code),
        version: 1,
        inputs: inputs.iter().map(|&input| Some(input)).collect(),
        outputs: vec![output],
        intermediates: Vec::new(),
        options,
        custom_options: &[],
    }
}

/// A model of the first tensor as input and the last as output.
fn model<'a>(tensors: Vec<Tensor<'a>>, operators: Vec<Operator<'a>>) -> Model<'a> {
    let outputs = vec![tensors.len() - 1];
    let subgraph = Subgraph { name: "main".into(), tensors, inputs: vec![0], outputs, operators };
    Model {
        version: 3,
        description: String::new(),
        subgraphs: vec![subgraph],
        metadata: Vec::new(),
        signatures: Vec::new(),
    }
}

fn lower(model: &Model<'_>) -> Result<Graph, ImportError> {
    super::lower(Path::new("model.tflite"), "model", model)
}

fn integers(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn weights_of_depthwise_convolutions_lose_an_axis_and_keep_their_scales() {
    use ElementType::{F32, I8};
    let bytes = [7u8; 18];
    let model = model(
        vec![
            tensor("x", &[1, 4, 4, 2], F32, None),
            quantised(tensor("w", &[1, 3, 3, 2], I8, Some(&bytes)), &[0.5, 2.0], 0, 3),
            tensor("y", &[1, 4, 4, 2], F32, None),
        ],
        vec![operator(
            "DEPTHWISE_CONV_2D",
            &[0, 1],
            2,
            Options::DepthwiseConv2d(DepthwiseConv2d { stride_w: 1, stride_h: 1, ..Default::default() }),
        )],
    );
    let graph = lower(&model).unwrap();
    let [node] = graph.nodes.as_slice() else { panic!("{:?}", graph.nodes) };
    assert_eq!((node.op, node.layer.as_str()), (OpCode::DepthwiseConv2d, "y"));
    let params: DepthwiseConv2dParams = node.params();
    assert_eq!((params.pad_h, params.pad_w), ([1, 1], [1, 1]));
    let w = graph.tensor(node.inputs[1]);
    assert_eq!((w.dims(), w.data.as_ref()), (&[3, 3, 2][..], Some(&Data::I8([7; 18].into()))));
    assert_eq!(w.quant, Some(Quant::per_channel(DType::I8, vec![0.5, 2.0], 2)));
}

#[test]
fn what_is_computed_from_shapes_is_known() {
    use ElementType::{F32, I32};
    let (one, zero, two) = (integers(&[1]), integers(&[0]), integers(&[2]));
    let shrink = StridedSlice { shrink_axis_mask: 1, ..Default::default() };
    let half = 0.5f32.to_le_bytes();
    let model = model(
        vec![
            tensor("x", &[3, 4], F32, None),
            tensor("shape", &[2], I32, None),
            tensor("zero", &[1], I32, Some(&zero)),
            tensor("one", &[1], I32, Some(&one)),
            tensor("rows", &[], I32, None),
            tensor("two", &[], I32, Some(&two)),
            tensor("packed", &[2], I32, None),
            tensor("half", &[], F32, Some(&half)),
            tensor("filled", &[3, 2], F32, None),
            tensor("axis", &[], I32, Some(&one)),
            tensor("joined", &[3, 6], F32, None),
        ],
        vec![
            operator("SHAPE", &[0], 1, Options::Absent),
            operator("STRIDED_SLICE", &[1, 2, 3, 3], 4, Options::StridedSlice(shrink)),
            operator("PACK", &[4, 5], 6, Options::Pack(Pack { axis: 0 })),
            operator("FILL", &[6, 7], 8, Options::Absent),
            operator(
                "CONCATENATION",
                &[0, 8],
                10,
                Options::Concatenation(Concatenation { axis: -1, ..Default::default() }),
            ),
        ],
    );
    let graph = lower(&model).unwrap();
    let [node] = graph.nodes.as_slice() else { panic!("{:?}", graph.nodes) };
    assert_eq!(node.op, OpCode::Concatenate);
    assert_eq!(graph.data(node.inputs[1]).unwrap()[..], [0.5; 6]);
}

#[test]
fn conversions_are_nodes_and_constants_stay_as_they_are_stored() {
    use ElementType::{F16, F32, I8};
    let half = 0x3800u16.to_le_bytes();
    let model = model(
        vec![
            tensor("x", &[1, 1], F32, None),
            tensor("c16", &[1, 1], F16, Some(&half)),
            tensor("c", &[1, 1], F32, None),
            tensor("sum", &[1, 1], F32, None),
            quantised(tensor("y", &[1, 1], I8, None), &[0.25], -3, 0),
        ],
        vec![
            operator("DEQUANTIZE", &[1], 2, Options::Absent),
            operator("ADD", &[0, 2], 3, Options::Absent),
            operator("QUANTIZE", &[3], 4, Options::Absent),
        ],
    );
    let graph = lower(&model).unwrap();
    let ops: Vec<OpCode> = graph.nodes.iter().map(|node| node.op).collect();
    assert_eq!(ops, [OpCode::Add, OpCode::Clip]);
    assert_eq!(graph.tensor(graph.nodes[0].inputs[1]).data, Some(Data::F16([0x3800].into())));
    assert_eq!(graph.quant(graph.outputs[0]), Some(&Quant::per_tensor(DType::I8, 0.25, -3)));
}

#[test]
fn the_signature_names_the_inputs() {
    let tensors =
        ["x", "y"].map(|name| tensor(&format!("serving_default_{name}:0"), &[2], ElementType::F32, None));
    let mut model = model(tensors.into(), vec![operator("ABS", &[0], 1, Options::Absent)]);
    model.signatures = vec![Signature {
        key: "serving_default".into(),
        subgraph: 0,
        inputs: vec![("image".into(), 0)],
        outputs: vec![("class".into(), 1)],
    }];
    let graph = lower(&model).unwrap();
    assert_eq!(graph.tensor(graph.inputs[0]).name, "image");
    assert_eq!(graph.nodes[0].layer, "serving_default_y:0");
}

/// The refusal of a model of one operator: its words and its remedy.
fn refusal(operator: Operator<'static>, x: Tensor<'static>, y: Tensor<'static>) -> String {
    let error = lower(&model(vec![x, y], vec![operator])).unwrap_err();
    format!("{error}; {}", error.fault.remedy().unwrap_or("no remedy"))
}

#[test]
fn what_is_not_read_is_refused_with_names_and_a_remedy() {
    use ElementType::{F32, I4, I8, I16, I32};
    let (x, y) = (|t| tensor("x", &[1, 2], t, None), |t| tensor("y", &[1, 2], t, None));
    let custom = |name: &str| Operator {
        code: OperatorCode::Custom(Arc::from(name)),
        ..operator("CUSTOM", &[0], 1, Options::Absent)
    };
    let of = |code| operator(code, &[0], 1, Options::Absent);
    let newer = Operator { code: OperatorCode::Newer(300), ..of("ABS") };
    let open = Tensor { shape: vec![1, 1], shape_signature: Some(vec![-1, -1]), ..x(F32) };
    let cases = [
        (
            refusal(custom("FlexErf"), x(F32), y(F32)),
            "layer `y` (operator 0, FlexErf): the custom operator FlexErf (inputs `x`; outputs `y`)",
        ),
        (refusal(custom("edgetpu-custom-op"), x(F32), y(F32)), "given to `edgetpu_compiler`"),
        (refusal(custom("ethos-u"), x(F32), y(F32)), "given to `vela`"),
        (refusal(of("WHILE"), x(F32), y(F32)), "loops unrolled"),
        (refusal(of("HASHTABLE"), x(F32), y(F32)), "the operator HASHTABLE (inputs `x`; outputs `y`)"),
        (refusal(newer, x(F32), y(F32)), "builtin operator 300"),
        (refusal(of("ABS"), x(I8), y(I8)), "`x` of int8 without a scale"),
        (
            refusal(of("ABS"), quantised(x(I16), &[0.1], 0, 0), quantised(y(I16), &[0.1], 0, 0)),
            "arithmetic with int16 (`x`)",
        ),
        (refusal(of("ABS"), x(I4), y(I4)), "weights of int8"),
        (refusal(of("ABS"), x(F32), Tensor { is_sparse: true, ..y(F32) }), "without sparsity"),
        (refusal(of("ABS"), open, y(F32)), "a fixed input shape"),
        (refusal(of("ABS"), x(F32), tensor("y", &[1, 3], F32, None)), "found [1, 3], expected [1, 2]"),
        (refusal(of("CAST"), x(F32), y(I32)), "computed at run time (`x`)"),
        (
            refusal(of("ABS"), quantised(x(I8), &[0.1, 0.2, 0.3], 0, 1), y(I8)),
            "the activation `x` with 3 scales",
        ),
        (refusal(of("ABS"), quantised(x(I8), &[0.1], 200, 0), y(I8)), "the zero point 200"),
        (refusal(of("ABS"), quantised(x(I8), &[f32::NAN], 0, 0), y(I8)), "the scale NaN"),
        (
            refusal(operator("ADD", &[0], 1, Options::Absent), x(F32), y(F32)),
            "found no input 1, expected a tensor",
        ),
        (refusal(operator("ABS", &[1], 1, Options::Absent), x(F32), y(F32)), "`y`, which nothing computes"),
        (refusal(operator("ABS", &[0], 0, Options::Absent), x(F32), y(F32)), "found `x` once more"),
        (
            refusal(
                operator("ADD_N", &[0, 0], 1, Options::Absent),
                quantised(x(I8), &[0.1], 0, 0),
                quantised(y(I8), &[0.1], 0, 0),
            ),
            "ADD_N of integers is not supported",
        ),
    ];
    for (refusal, expected) in cases {
        assert!(refusal.starts_with("model.tflite: ") && refusal.contains(expected), "{refusal}\n{expected}");
        assert!(!refusal.ends_with("no remedy"), "{refusal}");
    }
}

#[test]
fn tensors_without_elements_or_with_too_many_are_refused() {
    use ElementType::{F32, I32};
    let times: &'static [u8] = integers(&[1, 2, 1]).leak();
    let empty = || tensor("c", &[0, 65536, 65536], F32, Some(&[]));
    let repeated = model(
        vec![
            tensor("x", &[1], F32, None),
            empty(),
            tensor("times", &[3], I32, Some(times)),
            tensor("y", &[0, 65536, 65536], F32, None),
        ],
        vec![operator("TILE", &[1, 2], 3, Options::Absent)],
    );
    let text = lower(&repeated).unwrap_err().to_string();
    assert!(text.contains("`c` of shape [0, 65536, 65536], which has no elements"), "{text}");
    let of = |tensors: [Tensor<'static>; 2]| {
        lower(&model(tensors.into(), vec![operator("ABS", &[0], 1, Options::Absent)]))
            .unwrap_err()
            .to_string()
    };
    let large = |name| tensor(name, &[32768, 32768], F32, None);
    let text = of([large("x"), large("y")]);
    assert!(text.contains("the tensor `x` of shape [32768, 32768]"), "{text}");
}
