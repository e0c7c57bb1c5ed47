//! The module that stands for a model in a program.

use crate::call::Call;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::average_pool_2d_i8::AveragePool2dI8Params;
use flatpack_format::ops::conv_2d_i8::Conv2dI8Params;
use flatpack_format::ops::depthwise_conv_2d_i8::DepthwiseConv2dI8Params;
use flatpack_format::ops::fully_connected_i8::FullyConnectedI8Params;
use flatpack_format::{Block, Case, DType, Layout, Model, OpCode, Step, Target, Tensor};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use std::path::Path;

/// The items that `flatpack_runtime::include_model!` describes.
pub(crate) fn of(call: &Call, file: &Path, model: &Model<'_>) -> TokenStream {
    let Call { runtime, attributes, visibility, name, .. } = call;
    let header = model.header();
    let (arena_bytes, state_bytes) = (header.arena_bytes as usize, header.state_bytes as usize);
    let blocks = Block::count(arena_bytes + state_bytes);
    let (far_items, load) = load(call, header.far_bytes as usize);
    let macs = header.macs;
    let operators = OpCode::ALL.iter().filter(|op| header.requires_op(**op as u16));
    let kernels: Vec<_> = operators.clone().map(|op| format_ident!("{}", op.name())).collect();
    let variants = operators.map(|op| {
        let steps = || model.steps().filter(|step| step.op() == *op);
        match steps().all(is_lean) {
            true if *op == OpCode::FullyConnectedI8 && steps().all(is_one_row) => quote!(ONE_ROW),
            true if *op == OpCode::DepthwiseConv2dI8 && steps().all(is_seen_at_once) => quote!(ONE_WINDOW),
            true => quote!(LEAN),
            false => quote!(KERNEL),
        }
    });
    let classes: Vec<&str> = model
        .metadata()
        .find(|(key, _)| *key == "labels")
        .map_or(vec![], |(_, labels)| labels.lines().collect());
    let class_count = classes.len();
    let inputs = ports(call, model, "INPUT", &model.inputs().collect::<Vec<_>>());
    let outputs = ports(call, model, "OUTPUT", &model.outputs().collect::<Vec<_>>());
    let check = if is_exact(model) { quote!(check_exact_goldens) } else { quote!(check_goldens) };
    let path = file.to_string_lossy();
    let about = format!(
        "The model of `{}`: {} steps, {macs} multiply-accumulates.",
        file.file_name().unwrap_or_default().to_string_lossy(),
        model.steps().len(),
    );
    // The compiler is to know that the program depends on the variable.
    let variable = call.variable().map(|variable| {
        quote!(
            const _: &str = ::core::env!(#variable);
        )
    });
    // A proc-macro does not know for what it is asked.
    let not_for_boards = (model.target() == Target::Linux).then(|| {
        let what = format!(
            "{path}: it is laid out for a gateway; build it with `--target cortex-m`, or `--target portable`"
        );
        quote!(
            #[cfg(target_os = "none")]
            ::core::compile_error!(#what);
        )
    });
    quote! {
        #not_for_boards
        #[doc = #about]
        #(#attributes)*
        #[allow(non_snake_case, dead_code)]
        #visibility mod #name {
            #variable

            /// The file, aligned.
            pub static FILE: &[u8] = {
                static ALIGNED: &#runtime::Aligned<[u8]> = &#runtime::Aligned(*::core::include_bytes!(#path));
                &ALIGNED.0
            };

            /// Bytes of the arena, exactly.
            pub const ARENA_BYTES: usize = #arena_bytes;

            /// Bytes of the state, exactly.
            pub const STATE_BYTES: usize = #state_bytes;

            /// Multiply-accumulates of a run.
            pub const MACS: u64 = #macs;

            /// Memory for arena and state, exactly as large as they are.
            pub type Arena = [#runtime::Block; #blocks];

            /// What a static arena begins as.
            pub const ARENA: Arena = [#runtime::Block::ZERO; #blocks];

            /// The kernels of the model, and no others.
            pub static KERNELS: &[#runtime::Kernel] = &[#(#runtime::ops::#kernels::KERNEL),*];

            /// For steps that the compiler has checked.
            static OF_CHECKED_STEPS: &[#runtime::Kernel] =
                &[#(#runtime::ops::#kernels::#variants.of_checked_steps()),*];

            /// Names of the classes, in the order of the first output's elements; none if the file has none.
            pub const CLASSES: [&str; #class_count] = [#(#classes),*];

            #inputs
            #outputs

            #far_items

            /// A session of the model, which the compiler has checked.
            ///
            /// # Errors
            /// None while flash and program are those that the compiler made.
            #load

            /// Runs the goldens of the file and compares each step with its receipt and the outputs with
            /// the predictions, as `Session::check_goldens` does.
            ///
            /// # Errors
            /// The first divergence.
            pub fn check_goldens(
                session: &mut #runtime::Session<'_>,
            ) -> ::core::result::Result<#runtime::golden::Checked, #runtime::golden::Divergence> {
                session.#check()
            }
        }
    }
}

/// Whether the operator has a kernel of less code, `LEAN`, that is as fast for this step: of a convolution one that
/// the loops over images of `arch/armv7em` take.
fn is_lean(step: Step<'_>) -> bool {
    let input = |at: usize| step.inputs().nth(at);
    let shape = input(1).map(|w| w.shape());
    let dims = shape.as_ref().map_or(&[][..], |shape| shape.dims());
    // Weights of an output, and taps along height and width.
    let depth: u32 = dims.iter().skip(1).product();
    let taps = |first: usize| [first, first + 1].map(|axis| dims.get(axis).copied().unwrap_or_default());
    let in_pairs = input(1).is_some_and(|w| w.layout() == Layout::Pairs);
    let plain = || step.constant(3).is_some_and(Multiplier::all_plain);
    match step.op() {
        OpCode::Conv2dI8 => {
            let suits = |p: &Conv2dI8Params| {
                p.w_zero_point == 0 && p.dilation == [1; 2] && all_see(taps(1), [p.pad_h, p.pad_w])
            };
            in_pairs && depth <= MOST_WEIGHTS && step.record().is_some_and(suits) && plain()
        }
        OpCode::FullyConnectedI8 => {
            let suits = |p: &FullyConnectedI8Params| p.w_zero_point == 0;
            in_pairs && depth <= MOST_WEIGHTS && step.record().is_some_and(suits) && plain()
        }
        OpCode::DepthwiseConv2dI8 => {
            let [channels, outputs] = [0, 1].map(|at| input(at).map_or(0, |tensor| tensor.shape().last()));
            let suits = |p: &DepthwiseConv2dI8Params| {
                p.w_zero_point == 0 && p.dilation == [1; 2] && all_see(taps(0), [p.pad_h, p.pad_w])
            };
            let few = taps(0).iter().product::<u32>() <= MOST_TAPS;
            channels == outputs && channels >= 4 && few && step.record().is_some_and(suits) && plain()
        }
        OpCode::AveragePool2dI8 => is_one_window(step),
        OpCode::AddI8 => is_in_place(step),
        _ => false,
    }
}

/// Whether a pool has but one window, which covers its input, and writes elsewhere.
fn is_one_window(step: Step<'_>) -> bool {
    let (Some(x), Some(y)) = (step.inputs().next(), step.outputs().next()) else { return false };
    let covers = |p: &AveragePool2dI8Params| match *x.shape().dims() {
        [1, h, w, _] => h + p.pad_h[0] <= p.window[0] && w + p.pad_w[0] <= p.window[1],
        _ => false,
    };
    !x.overlaps(&y) && x.shape().last() == y.len() && step.record().is_some_and(covers)
}

/// Whether a sum has the place of one of its inputs, which are of one shape, is long enough for tables, and has a plain
/// multiplier.
fn is_in_place(step: Step<'_>) -> bool {
    let (inputs, Some(y)) = (step.inputs().collect::<Vec<_>>(), step.outputs().next()) else { return false };
    let in_place = inputs.iter().filter(|x| x.same_memory(&y)).count();
    let plain = |p: &AddI8Params| Multiplier::all_plain(&[p.multiplier]);
    let alike = inputs.iter().all(|x| x.shape() == y.shape());
    in_place == 1 && alike && y.len() > 256 && step.record().is_some_and(plain)
}

/// Weights of an output, and taps of a channel, for which lean kernels have room.
const MOST_WEIGHTS: u32 = 1728;
const MOST_TAPS: u32 = 576;

/// Whether each window sees some of the image, if its taps are neighbours.
fn all_see(taps: [u32; 2], pads: [[u32; 2]; 2]) -> bool {
    taps.iter().zip(pads).all(|(taps, pad)| pad.iter().all(|pad| pad < taps))
}

/// Whether a lean step of `fully_connected_i8` has but one row, for its kernel `ONE_ROW`.
fn is_one_row(step: Step<'_>) -> bool {
    let [x, w] = [0, 1].map(|at| step.inputs().nth(at).map(|tensor| tensor.shape()));
    x.zip(w).is_some_and(|(x, w)| x.len() == Some(w.last()))
}

/// Whether a lean step of `depthwise_conv_2d_i8` has but one window, which sees all of x, for its kernel `ONE_WINDOW`.
fn is_seen_at_once(step: Step<'_>) -> bool {
    let [x, w] = [0, 1].map(|at| step.inputs().nth(at));
    let (Some(x), Some(w), Some(y)) = (x, w, step.outputs().next()) else { return false };
    let [whole, one] =
        [x.shape().dims() == [&[1], w.shape().dims()].concat(), y.shape().len() == Some(y.shape().last())];
    let unpadded = |p: &DepthwiseConv2dI8Params| [p.pad_h, p.pad_w] == [[0; 2]; 2];
    whole && one && !x.overlaps(&y) && step.record().is_some_and(unpadded)
}

/// The items of a far arena, if there is one, and the function that makes a session.
fn load(call: &Call, far_bytes: usize) -> (TokenStream, TokenStream) {
    let runtime = &call.runtime;
    if far_bytes == 0 {
        let load = quote! {
            pub fn load(arena: &mut Arena) -> ::core::result::Result<#runtime::Session<'_>, #runtime::FileError> {
                #runtime::Session::from_checked_file(
                    FILE,
                    OF_CHECKED_STEPS,
                    #runtime::Block::bytes_mut(arena),
                    &mut [],
                )
            }
        };
        return (TokenStream::new(), load);
    }
    let blocks = Block::count(far_bytes);
    let items = quote! {
        /// Bytes of the far arena, exactly.
        pub const FAR_BYTES: usize = #far_bytes;

        /// Memory for the far arena, exactly as large as it is.
        pub type FarArena = [#runtime::Block; #blocks];

        /// What a static far arena begins as.
        pub const FAR_ARENA: FarArena = [#runtime::Block::ZERO; #blocks];
    };
    let load = quote! {
        pub fn load<'a>(
            arena: &'a mut Arena,
            far: &'a mut FarArena,
        ) -> ::core::result::Result<#runtime::Session<'a>, #runtime::FileError> {
            let (arena, far) = (#runtime::Block::bytes_mut(arena), #runtime::Block::bytes_mut(far));
            #runtime::Session::from_checked_file(FILE, OF_CHECKED_STEPS, arena, far)
        }
    };
    (items, load)
}

/// Whether all goldens are of integers, to the last bit.
fn is_exact(model: &Model<'_>) -> bool {
    let integers = model.outputs().all(|output| !matches!(output.dtype(), DType::F32 | DType::F16));
    let exact = |case: Case<'_>| {
        let record = case.record();
        let tolerance = record.abs_tolerance.max(record.rel_tolerance);
        tolerance == 0.0 && case.receipts().iter().all(|receipt| receipt.exact == 1)
    };
    integers && model.cases().all(exact)
}

/// A constant for each input or output: `INPUT`, or `INPUT_0` and so on where there are several.
fn ports(call: &Call, model: &Model<'_>, what: &str, tensors: &[Tensor<'_>]) -> TokenStream {
    let runtime = &call.runtime;
    let direction = format_ident!("{}", if what == "INPUT" { "Input" } else { "Output" });
    let ports = tensors.iter().enumerate().map(|(index, tensor)| {
        let constant = match tensors.len() {
            1 => format_ident!("{what}"),
            _ => format_ident!("{what}_{index}"),
        };
        let (dtype, element) = element(runtime, tensor.dtype());
        let (shape, len) = (tensor.shape(), tensor.len() as usize);
        let dims = shape.dims().iter().map(|&dim| dim as usize);
        let name = model.tensor_name(tensor.number()).unwrap_or_default();
        let quant = match tensor.quant().and_then(|number| model.quants().get(number as usize)) {
            Some(quant) => {
                let (scale, zero_point) = (quant.scale, quant.zero_point);
                let quant = quote!(#runtime::Quant { scale: #scale, zero_point: #zero_point });
                quote!(::core::option::Option::Some(#quant))
            }
            None => quote!(::core::option::Option::None),
        };
        let about = format!("{direction} {index}, `{name}`: {} {shape:?}.", tensor.dtype().name());
        quote! {
            #[doc = #about]
            pub const #constant: #runtime::#direction<#element, #len> =
                #runtime::#direction::new(#runtime::Port {
                    index: #index,
                    name: #name,
                    dtype: #dtype,
                    shape: &[#(#dims),*],
                    quant: #quant,
                });
        }
    });
    quote!(#(#ports)*)
}

/// An element type, and the type of Rust that holds its bits.
fn element(runtime: &syn::Path, dtype: DType) -> (TokenStream, TokenStream) {
    let (name, element) = match dtype {
        DType::F32 => (quote!(F32), quote!(f32)),
        DType::I8 => (quote!(I8), quote!(i8)),
        DType::I32 => (quote!(I32), quote!(i32)),
        DType::U8 => (quote!(U8), quote!(u8)),
        DType::I16 => (quote!(I16), quote!(i16)),
        DType::F16 => (quote!(F16), quote!(u16)),
        DType::Bool => (quote!(Bool), quote!(u8)),
    };
    (quote!(#runtime::DType::#name), quote!(::core::primitive::#element))
}
