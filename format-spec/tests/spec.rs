//! `SPEC.md` says what the code does: its tables, constants, rules and example.

mod file;

use bytemuck::Zeroable;
use flatpack_format::ops::recurrence::Activation;
use flatpack_format::ops::{Clamp, Multiplier, OutputI8};
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{
    ALIGN, CaseRecord, DType, Features, Header, Layout, MAGIC, MAX_INPUTS, MAX_MODEL_INPUTS, MAX_RANK,
    MAX_WRITES, MetaRecord, NameKind, NameRecord, OpCode, PAIR, PAIR_GROUP, PANEL, PANEL_GROUP, PROBE_COUNT,
    Place, QuantRecord, ReceiptRecord, Rule, SectionKind, SectionRecord, Shape, StepRecord, StringRef,
    Target, TensorRecord, TensorType, VERSION, ops, pairs_at,
};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;

const SPEC: &str = include_str!("../SPEC.md");

/// The lines under a heading, up to the next heading of any level.
fn chapter(heading: &str) -> Vec<&'static str> {
    let mut lines = SPEC.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "SPEC.md has no heading {heading:?}");
    lines.take_while(|line| !line.starts_with('#')).collect()
}

/// Rows of the first table with these columns under a heading, without backquotes.
fn table<const N: usize>(heading: &str, columns: [&str; N]) -> Vec<[String; N]> {
    let row = |line: &str| -> Option<[String; N]> {
        let cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|');
        let cells: Vec<_> = cells.map(|cell| cell.trim().replace('`', "")).collect();
        cells.try_into().ok()
    };
    let lines = chapter(heading);
    let mut lines = lines.into_iter().skip_while(|line| row(line).is_none_or(|cells| cells != columns));
    assert!(lines.next().is_some(), "no table with columns {columns:?} under {heading:?}");
    lines.skip(1).map_while(row).collect()
}

/// What `SPEC.md` tells of a record: (offset, bytes, type, name) of each field.
type Fields = Vec<(usize, usize, &'static str, &'static str)>;

/// The fields of a record and its size. A field that is left out, and a type that differs, do not
/// compile.
macro_rules! record {
    ($record:ident { $($field:ident: $type:ty),* }) => {{
        let $record { $($field),* } = Zeroable::zeroed();
        $(let _: $type = $field;)*
        let fields: Fields =
            vec![$((offset_of!($record, $field), size_of::<$type>(), stringify!($type), stringify!($field))),*];
        (stringify!($record), size_of::<$record>(), fields)
    }};
}

/// Fields follow each other and fill the record.
fn assert_without_pads(name: &str, bytes: usize, fields: &Fields) {
    let mut end = 0;
    for (offset, size, _, field) in fields {
        assert_eq!(*offset, end, "{name}.{field}");
        end += size;
    }
    assert_eq!(end, bytes, "{name}");
}

#[test]
fn records_are_as_their_tables_say() {
    let records = [
        record!(Header {
            magic: [u8; 8],
            version: u32,
            file_bytes: u32,
            section_count: u32,
            header_crc32: u32,
            target: u32,
            align: u32,
            required_ops: [u32; 8],
            features: u32,
            arena_bytes: u32,
            state_bytes: u32,
            scratch_bytes: u32,
            macs: u64,
            far_bytes: u32,
            reserved: u32
        }),
        record!(SectionRecord {
            kind: u16,
            critical: u16,
            align: u32,
            offset: u32,
            bytes: u32,
            crc32: u32,
            reserved: u32
        }),
        record!(TensorRecord {
            dtype: u8,
            place: u8,
            layout: u8,
            rank: u8,
            offset: u32,
            bytes: u32,
            quant: u32,
            dims: [u32; 6]
        }),
        record!(StepRecord {
            op: u16,
            input_count: u8,
            output_count: u8,
            scratch_count: u8,
            reserved: [u8; 3],
            first_operand: u32,
            params_offset: u32,
            params_bytes: u32,
            reserved_2: u32
        }),
        record!(QuantRecord { scale: f32, zero_point: i32, axis: u32, scales: u32 }),
        record!(CaseRecord {
            data_offset: u32,
            data_bytes: u32,
            receipt_count: u32,
            abs_tolerance: f32,
            rel_tolerance: f32,
            receipt_abs_tolerance: f32,
            receipt_rel_tolerance: f32,
            reserved: u32
        }),
        record!(ReceiptRecord {
            step: u32,
            exact: u32,
            crc32: u32,
            sum: f32,
            sum_abs: f32,
            max_abs: f32,
            probe_index: [u32; 4],
            probe_value: [f32; 4]
        }),
        record!(NameRecord { kind: u32, index: u32, name: StringRef }),
        record!(MetaRecord { key: StringRef, value: StringRef }),
        record!(StringRef { offset: u32, bytes: u32 }),
    ];
    for (name, bytes, fields) in &records {
        assert_without_pads(name, *bytes, fields);
        let rows =
            table(&format!("### `{name}`: {bytes} bytes"), ["offset", "bytes", "type", "field", "meaning"]);
        let told: Vec<_> = rows
            .iter()
            .map(|[offset, bytes, r#type, field, _]| {
                (offset.parse().unwrap(), bytes.parse().unwrap(), r#type.as_str(), field.as_str())
            })
            .collect();
        assert_eq!(told, *fields, "{name}");
        assert!(rows.iter().all(|[.., meaning]| !meaning.is_empty()), "{name}");
    }
    // And no other record is told of.
    let headings = SPEC.lines().filter(|line| line.starts_with("### `")).count();
    assert_eq!(headings, records.len());
}

#[test]
fn parameter_records_are_as_their_table_says() {
    use ops::{
        add_i8::AddI8Params, l2_normalization_i8::L2NormalizationI8Params,
        log_softmax_i8::LogSoftmaxI8Params, maximum_i8::MaximumI8Params, mul_i8::MulI8Params,
        prelu_i8::PreluI8Params, recurrence::Recurrence, requantize::RequantizeParams,
        resize_bilinear_i8::ResizeBilinearI8Params, softmax_i8::SoftmaxI8Params,
    };
    use ops::{
        average_pool_2d::Pool2dParams, average_pool_2d_i8::AveragePool2dI8Params,
        batch_matmul::BatchMatmulParams, batch_matmul_i8::BatchMatmulI8Params, binary::BinaryParams,
        broadcast_to::BroadcastToParams, celu::CeluParams, clip::ClipParams, concatenate::ConcatenateParams,
        conv_2d::Conv2dParams, conv_2d_i8::Conv2dI8Params, conv_3d::Conv3dParams,
        depthwise_conv_2d::DepthwiseConv2dParams, depthwise_conv_2d_i8::DepthwiseConv2dI8Params,
        dequantize::DequantizeParams, elu::EluParams, fully_connected::FullyConnectedParams,
        fully_connected_i8::FullyConnectedI8Params, gather::GatherParams, gelu::GeluParams,
        group_normalization::GroupNormalizationParams, hard_sigmoid::HardSigmoidParams, hash::HashParams,
        l2_normalization::L2NormalizationParams, layer_normalization::LayerNormalizationParams,
        leaky_relu::LeakyReluParams, log_softmax::LogSoftmaxParams, max_pool_2d_i8::MaxPool2dI8Params,
        mean::ReduceParams, pad::PadParams, quantize::QuantizeParams, reshape::ReshapeParams,
        resize_bilinear::ResizeBilinearParams, resize_nearest_neighbor::ResizeNearestNeighborParams,
        softmax::SoftmaxParams, sparsemax::SparsemaxParams, squareplus::SquareplusParams,
        strided_slice::StridedSliceParams, sum_i8::SumI8Params, svdf::SvdfParams, svdf_i8::SvdfI8Params,
        thresholded_relu::ThresholdedReluParams, transpose::TransposeParams,
        transpose_conv_2d::TransposeConv2dParams, transpose_conv_2d_i8::TransposeConv2dI8Params,
        transpose_conv_3d::TransposeConv3dParams,
        unidirectional_sequence_gru::UnidirectionalSequenceGruParams,
        unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams,
        unidirectional_sequence_lstm_i8::UnidirectionalSequenceLstmI8Params,
        unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams,
    };
    let records = [
        record!(Clamp { min: f32, max: f32 }),
        record!(Conv2dParams {
            stride: [u32; 2],
            dilation: [u32; 2],
            pad_h: [u32; 2],
            pad_w: [u32; 2],
            groups: u32,
            clamp: Clamp
        }),
        record!(DepthwiseConv2dParams {
            stride: [u32; 2],
            dilation: [u32; 2],
            pad_h: [u32; 2],
            pad_w: [u32; 2],
            clamp: Clamp
        }),
        record!(TransposeConv2dParams {
            stride: [u32; 2],
            dilation: [u32; 2],
            crop: [u32; 2],
            output: [u32; 2],
            clamp: Clamp
        }),
        record!(Conv3dParams {
            stride: [u32; 3],
            dilation: [u32; 3],
            pad: [[u32; 2]; 3],
            groups: u32,
            clamp: Clamp
        }),
        record!(TransposeConv3dParams {
            stride: [u32; 3],
            dilation: [u32; 3],
            crop: [u32; 3],
            output: [u32; 3],
            clamp: Clamp
        }),
        record!(FullyConnectedParams { clamp: Clamp }),
        record!(BatchMatmulParams { transpose_b: u32 }),
        record!(Pool2dParams {
            window: [u32; 2],
            stride: [u32; 2],
            pad_h: [u32; 2],
            pad_w: [u32; 2],
            clamp: Clamp
        }),
        record!(SoftmaxParams { axis: u32 }),
        record!(LogSoftmaxParams { axis: u32 }),
        record!(SparsemaxParams { axis: u32 }),
        record!(ReduceParams { axis: u32, axis_count: u32, keep_dims: u32 }),
        record!(LayerNormalizationParams { axis_count: u32, epsilon: f32 }),
        record!(GroupNormalizationParams { groups: u32, epsilon: f32 }),
        record!(L2NormalizationParams { axis: u32, axis_count: u32, epsilon: f32 }),
        record!(BinaryParams { clamp: Clamp }),
        record!(ConcatenateParams { axis: u32 }),
        record!(PadParams { before: [u32; 6], after: [u32; 6], value: f32 }),
        record!(StridedSliceParams { begin: [u32; 6], stride: [i32; 6], size: [u32; 6] }),
        record!(TransposeParams { perm: [u32; 6] }),
        record!(ReshapeParams { dims: [u32; 6], rank: u32 }),
        record!(BroadcastToParams { dims: [u32; 6], rank: u32 }),
        record!(ResizeNearestNeighborParams { size: [u32; 2], grid: u32 }),
        record!(ResizeBilinearParams { size: [u32; 2], grid: u32 }),
        record!(ClipParams { clamp: Clamp }),
        record!(LeakyReluParams { alpha: f32 }),
        record!(ThresholdedReluParams { threshold: f32, slope: f32, max: f32 }),
        record!(EluParams { alpha: f32 }),
        record!(CeluParams { alpha: f32 }),
        record!(GeluParams { approximate: u32 }),
        record!(HardSigmoidParams { slope: f32, offset: f32 }),
        record!(SquareplusParams { b: f32 }),
        record!(HashParams { bins: u32, keyed: u32, key: [u32; 4] }),
        record!(OutputI8 { zero_point: i32, min: i32, max: i32 }),
        record!(Multiplier { mantissa: i32, shift: i32 }),
        record!(QuantizeParams { scale: f32, zero_point: i32, dtype: u32 }),
        record!(DequantizeParams { scale: f32, zero_point: i32 }),
        record!(Conv2dI8Params {
            stride: [u32; 2],
            dilation: [u32; 2],
            pad_h: [u32; 2],
            pad_w: [u32; 2],
            groups: u32,
            x_zero_point: i32,
            w_zero_point: i32,
            y: OutputI8
        }),
        record!(DepthwiseConv2dI8Params {
            stride: [u32; 2],
            dilation: [u32; 2],
            pad_h: [u32; 2],
            pad_w: [u32; 2],
            x_zero_point: i32,
            w_zero_point: i32,
            y: OutputI8
        }),
        record!(TransposeConv2dI8Params {
            stride: [u32; 2],
            dilation: [u32; 2],
            crop: [u32; 2],
            output: [u32; 2],
            x_zero_point: i32,
            w_zero_point: i32,
            y: OutputI8
        }),
        record!(FullyConnectedI8Params { x_zero_point: i32, w_zero_point: i32, y: OutputI8 }),
        record!(BatchMatmulI8Params {
            transpose_b: u32,
            a_zero_point: i32,
            b_zero_point: i32,
            multiplier: Multiplier,
            y: OutputI8
        }),
        record!(AveragePool2dI8Params {
            window: [u32; 2],
            stride: [u32; 2],
            pad_h: [u32; 2],
            pad_w: [u32; 2],
            origin: i32,
            min: i32,
            max: i32
        }),
        record!(MaxPool2dI8Params {
            window: [u32; 2],
            stride: [u32; 2],
            pad_h: [u32; 2],
            pad_w: [u32; 2],
            min: i32,
            max: i32
        }),
        record!(SumI8Params {
            axis: u32,
            axis_count: u32,
            keep_dims: u32,
            x_zero_point: i32,
            multiplier: Multiplier,
            y: OutputI8
        }),
        record!(RequantizeParams {
            x_zero_point: i32,
            multiplier: Multiplier,
            y_zero_point: i32,
            dtype: u32
        }),
        record!(SoftmaxI8Params { axis: u32, multiplier: Multiplier, diff_min: i32 }),
        record!(LogSoftmaxI8Params { axis: u32, multiplier: Multiplier, reverse: Multiplier, diff_min: i32 }),
        record!(L2NormalizationI8Params { axis: u32, axis_count: u32, x_zero_point: i32 }),
        record!(AddI8Params {
            a_zero_point: i32,
            b_zero_point: i32,
            a_multiplier: Multiplier,
            b_multiplier: Multiplier,
            multiplier: Multiplier,
            y: OutputI8
        }),
        record!(MulI8Params { a_zero_point: i32, b_zero_point: i32, multiplier: Multiplier, y: OutputI8 }),
        record!(MaximumI8Params { min: i32, max: i32 }),
        record!(PreluI8Params {
            x_zero_point: i32,
            alpha_zero_point: i32,
            x_multiplier: Multiplier,
            multiplier: Multiplier,
            y: OutputI8
        }),
        record!(ResizeBilinearI8Params { size: [u32; 2], step: [i32; 2], first: [i32; 2] }),
        record!(SvdfParams { rank: u32, clamp: Clamp }),
        record!(SvdfI8Params { rank: u32, y: OutputI8 }),
        record!(Recurrence {
            time_major: u32,
            backwards: u32,
            start: u32,
            last_only: u32,
            states_after: u32,
            mask: u32,
            activation: u32,
            gate_activation: u32
        }),
        record!(UnidirectionalSequenceGruParams { walk: Recurrence, reset_after: u32 }),
        record!(UnidirectionalSequenceLstmParams { walk: Recurrence, cell_clip: f32 }),
        record!(UnidirectionalSequenceLstmI8Params {
            time_major: u32,
            cell_clip: i32,
            cell_shift: i32,
            y: OutputI8
        }),
        record!(GatherParams { from_end: u32 }),
        record!(UnidirectionalSequenceRnnParams { walk: Recurrence }),
    ];
    let told = table("### Parameter records", ["parameter record", "bytes", "fields"]);
    let rows = records.iter().map(|(name, bytes, fields)| {
        assert_without_pads(name, *bytes, fields);
        let fields: Vec<_> = fields.iter().map(|(_, _, r#type, field)| format!("{field}: {type}")).collect();
        [name.to_string(), bytes.to_string(), fields.join(", ")]
    });
    assert_eq!(told, rows.collect::<Vec<_>>());

    // Each operator names one of them, of its size.
    let sizes: BTreeMap<_, _> = told.iter().map(|[name, bytes, _]| (name.as_str(), bytes.as_str())).collect();
    let operators = table("## Operators", ["number", "name", "parameter bytes", "parameter record"]);
    for [_, name, bytes, record] in &operators {
        let size = if record == "none" { "0" } else { sizes[record.as_str()] };
        assert_eq!(bytes, size, "{name}");
    }
}

#[test]
fn operators_are_as_their_table_says() {
    let told: Vec<_> = table("## Operators", ["number", "name", "parameter bytes", "parameter record"])
        .into_iter()
        .map(|[number, name, bytes, _]| [number, name, bytes])
        .collect();
    let known = OpCode::ALL.iter().map(|op| {
        assert_eq!(op.params_bytes() % 4, 0);
        assert!((1..=255).contains(&(*op as u16)));
        [(*op as u16).to_string(), op.name().to_string(), op.params_bytes().to_string()]
    });
    assert_eq!(told, known.collect::<Vec<_>>());
}

#[test]
fn functions_of_recurrent_operators_are_as_their_table_says() {
    let told = table("### What they compute", ["number", "function of x"]);
    let numbers: Vec<_> = told.iter().map(|[number, _]| number.parse::<u32>().unwrap()).collect();
    let known: Vec<_> = Activation::ALL.iter().map(|&function| function as u32).collect();
    assert_eq!(numbers, known);
    assert!(known.iter().all(|&number| Activation::from_number(number).is_some_and(|f| f as u32 == number)));
    assert_eq!(Activation::from_number(known.len() as u32), None);
}

#[test]
fn each_operator_is_explained() {
    let explained: BTreeSet<&str> = chapter("### What they compute")
        .into_iter()
        .flat_map(|line| {
            // The first column of a table, or a list in running text.
            let names = line.strip_prefix('|').and_then(|row| row.split('|').next()).unwrap_or(line);
            names.split('`').skip(1).step_by(2)
        })
        .collect();
    let missing: Vec<_> =
        OpCode::ALL.iter().map(|op| op.name()).filter(|name| !explained.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The numbers and names of a table's first two columns.
fn numbered<const N: usize>(heading: &str, columns: [&str; N]) -> Vec<(String, String)> {
    table(heading, columns).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

macro_rules! all {
    ($type:ty) => {
        <$type>::ALL.iter().map(|v| ((*v as u32).to_string(), v.name().to_string())).collect::<Vec<_>>()
    };
}

#[test]
fn enumerations_are_as_their_tables_say() {
    let columns = ["number", "name", "meaning"];
    assert_eq!(numbered("### Target", columns), all!(Target));
    assert_eq!(numbered("### Places", columns), all!(Place));
    assert_eq!(numbered("### Layouts", columns), all!(Layout));
    assert_eq!(numbered("### Name kinds", columns), all!(NameKind));
    assert_eq!(numbered("### Element types", ["number", "name", "bytes", "meaning"]), all!(DType));
    assert_eq!(numbered("### Section kinds", ["number", "name", "critical", "content"]), all!(SectionKind));
    let sizes = table("### Element types", ["number", "name", "bytes", "meaning"]);
    for ([_, _, bytes, _], dtype) in sizes.iter().zip(DType::ALL) {
        assert_eq!(*bytes, dtype.bytes().to_string());
    }
    let sections = table("### Section kinds", ["number", "name", "critical", "content"]);
    for ([_, name, critical, content], kind) in sections.iter().zip(SectionKind::ALL) {
        assert_eq!(*critical, u32::from(kind.critical()).to_string(), "{name}");
        assert_eq!(content.ends_with("required"), required(*kind), "{name}");
    }
}

/// Whether a file without the section is refused.
fn required(kind: SectionKind) -> bool {
    let mut file = file::File::of(&example());
    file.rebuild(|parts| parts.retain(|part| part.kind != kind as u16));
    file.verify().is_err()
}

#[test]
fn rules_are_as_their_paragraphs_say() {
    let lines = chapter("## Validity rules");
    let paragraphs = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    let told: Vec<_> = paragraphs.filter(|paragraph| paragraph.starts_with("**V")).collect();
    assert_eq!(told.len(), Rule::ALL.len());
    for (paragraph, rule) in told.iter().zip(Rule::ALL) {
        let (first, rest) = rule.demand().split_at(1);
        let sentence = format!("**{}** {}{rest}. ", rule.number(), first.to_uppercase());
        assert!(paragraph.starts_with(&sentence), "{paragraph}\ndoes not begin\n{sentence}");
    }
}

#[test]
fn limits_are_as_their_table_says() {
    let told: BTreeMap<_, _> = table("## Limits", ["limit", "value"]).into_iter().map(Into::into).collect();
    let limits = [
        ("file, in bytes", u64::from(u32::MAX)),
        ("arena, state and far arena together, in bytes", u32::MAX.into()),
        ("elements of a tensor", u32::MAX.into()),
        ("dimensions of a tensor", MAX_RANK as u64),
        ("inputs of a step", MAX_INPUTS as u64),
        ("outputs and scratches of a step", MAX_WRITES as u64),
        ("inputs of a model", MAX_MODEL_INPUTS as u64),
        ("probes of a receipt", PROBE_COUNT as u64),
        ("opcode", 32 * 8 - 1),
        ("alignment of a section, least", ALIGN.into()),
        ("alignment of a section, largest", 1 << 16),
    ];
    let known = limits.map(|(limit, value)| (limit.to_string(), value.to_string()));
    assert_eq!(told, BTreeMap::from(known));
}

#[test]
fn constants_are_as_the_text_says() {
    let magic: Vec<_> = MAGIC.iter().map(|byte| format!("{byte:02x}")).collect();
    let header = table("### `Header`: 96 bytes", ["offset", "bytes", "type", "field", "meaning"]);
    let meaning = |name: &str| &header.iter().find(|[.., field, _]| field == name).unwrap()[4];
    assert_eq!(*meaning("magic"), magic.join(" "));
    assert!(meaning("version").starts_with(&format!("{VERSION};")));
    assert_eq!((Features::KNOWN, PANEL, PANEL_GROUP, PAIR, PAIR_GROUP), (0, 16, 4, 2, 4));
    assert_eq!(SPEC.lines().next(), Some(format!("# The `.fpk` format, version {VERSION}").as_str()));
    let history = table("## Versions", ["version", "since", "changes"]);
    assert_eq!(history.last().unwrap()[0], VERSION.to_string());
    assert!(SPEC.contains(&format!("`123456789` is 0x{:X}", crc32fast::hash(b"123456789"))));
}

#[test]
fn the_formula_of_panels_is_that_of_the_checks() {
    let at = |o: usize, i: usize| (o / 16) * 3 * 16 + i * 16 + o % 16;
    meets_the_checks(Layout::Panel16, &[18, 3], 32 * 3, |of| at(of[0], of[1]));
}

#[test]
fn the_formula_of_pairs_is_that_of_the_checks() {
    for [outputs, depth] in [[3, 6], [4, 5], [1, 3], [2, 8]] {
        let groups = usize::div_ceil(depth, 4);
        let at = |o: usize, i: usize| {
            (o / 2) * groups * 8 + (i / 4) * 8 + (i % 4 % 2) * 4 + (i % 4 / 2) * 2 + o % 2
        };
        assert!((0..2 * depth).all(|i| at(0, i) == pairs_at(i)));
        let room = usize::div_ceil(outputs, 2) * groups * 8;
        meets_the_checks(Layout::Pairs, &[outputs, depth], room, |of| at(of[0], of[1]));
    }
}

#[test]
fn the_formula_of_panels_with_groups_is_that_of_the_checks() {
    for [outputs, depth] in [[2, 6], [18, 5], [16, 3], [17, 8], [33, 1]] {
        let groups = usize::div_ceil(depth, 4);
        let at = |o: usize, i: usize| (o / 16) * groups * 64 + (i / 4) * 64 + (o % 16) * 4 + i % 4;
        let room = usize::div_ceil(outputs, 16) * groups * 64;
        meets_the_checks(Layout::Panel16x4, &[outputs, depth], room, |at_of| at(at_of[0], at_of[1]));
    }
}

#[test]
fn the_formula_of_gates_is_that_of_the_checks() {
    for [gates, units, depth] in [[4, 18, 3], [3, 16, 2], [1, 5, 4], [3, 35, 1]] {
        let at =
            |g: usize, s: usize, i: usize| (s / 16) * depth * gates * 16 + i * gates * 16 + g * 16 + s % 16;
        let room = usize::div_ceil(units, 16) * 16 * depth * gates;
        meets_the_checks(Layout::Gates16, &[gates, units, depth], room, |of| at(of[0], of[1], of[2]));
    }
}

/// Of the `room` elements of a tensor, every place that a formula names may hold a value, every other must be
/// zero.
fn meets_the_checks(layout: Layout, dims: &[usize], room: usize, at: impl Fn(&[usize]) -> usize) {
    let len = dims.iter().product();
    // The index along each dimension of the element with this number.
    let index = |element: usize| -> Vec<usize> {
        let after = |axis: usize| dims[axis + 1..].iter().product::<usize>();
        (0..dims.len()).map(|axis| element / after(axis) % dims[axis]).collect()
    };
    let named: BTreeSet<usize> = (0..len).map(|element| at(&index(element))).collect();
    assert_eq!(named.len(), len);
    for (dtype, bytes) in [(DType::I8, 1), (DType::F32, 4)] {
        for element in 0..room {
            let mut values = vec![0u8; room * bytes];
            values[element * bytes] = 1;
            let mut draft = example();
            let shape = Shape::new(&dims.iter().map(|&dim| dim as u32).collect::<Vec<_>>()).unwrap();
            draft.tensors.push(TensorDraft {
                name: None,
                tensor_type: TensorType { dtype, shape },
                layout,
                quant: 0,
                memory: Memory::Constant(values),
            });
            let verified = file::File::of(&draft).verify().is_ok();
            assert_eq!(verified, named.contains(&element), "{layout:?}, element {element}");
        }
    }
}

/// The draft of the file that `SPEC.md` shows.
fn example() -> Draft {
    let tensor = |offset| TensorDraft {
        name: None,
        tensor_type: TensorType::f32(Shape::new(&[3]).unwrap()),
        layout: Layout::Rows,
        quant: 0,
        memory: Memory::Arena(offset),
    };
    Draft {
        target: Target::Portable,
        tensors: vec![tensor(0), tensor(16)],
        steps: vec![StepDraft {
            name: None,
            op: OpCode::Abs,
            params: vec![],
            inputs: vec![0],
            outputs: vec![1],
            scratches: vec![],
        }],
        inputs: vec![0],
        outputs: vec![1],
        quants: vec![],
        cases: vec![],
        meta: [].into(),
    }
}

#[test]
fn the_whole_file_is_what_the_writer_writes() {
    let told: Vec<u8> = chapter("## A whole file")
        .into_iter()
        .filter_map(|line| line.split_once('|'))
        .flat_map(|(bytes, _)| bytes.split_whitespace().skip(1))
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    assert_eq!(told, file::File::of(&example()).bytes());
}
