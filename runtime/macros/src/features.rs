//! What a firmware can run, as `features.json` says it: read here by the compiler, and by
//! `flatpack build --for`.

use flatpack_format::{ALIGN, Features, OpCode, VERSION};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{LitInt, LitStr, Token, braced, bracketed};

use crate::call::Call;

/// The fields of the file. JSON of an object of numbers and lists of names is also Rust's.
pub(crate) struct Firmware {
    operators: Vec<OpCode>,
    memory_bytes: usize,
    file_bytes: usize,
}

impl Parse for Firmware {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let object;
        braced!(object in input);
        let (mut operators, mut numbers) = (None, [None; 4]);
        while !object.is_empty() {
            let key: LitStr = object.parse()?;
            object.parse::<Token![:]>()?;
            match (key.value().as_str(), FIELDS.iter().position(|field| *field == key.value())) {
                ("operators", _) => operators = Some(names(&object)?),
                (_, Some(field)) => numbers[field] = Some(object.parse::<LitInt>()?.base10_parse()?),
                (unknown, None) => {
                    return Err(error(format!(
                        "`{unknown}` is no field: expected operators, {}",
                        FIELDS.join(", ")
                    )));
                }
            }
            object.parse::<Option<Token![,]>>()?;
        }
        let number = |field: usize| {
            numbers[field].ok_or_else(|| error(format!("the field {} is missing", FIELDS[field])))
        };
        let runtime = [VERSION as usize, Features::KNOWN as usize];
        for (field, runtime) in runtime.into_iter().enumerate() {
            let found = number(field)?;
            if found != runtime {
                return Err(error(format!(
                    "{} is {found}, and {runtime} in this runtime: write what it is",
                    FIELDS[field]
                )));
            }
        }
        let memory_bytes = number(2)?;
        if memory_bytes % ALIGN as usize != 0 {
            return Err(error(format!("memory_bytes is {memory_bytes}, expected a multiple of {ALIGN}")));
        }
        let operators = operators.ok_or_else(|| error("the field operators is missing".into()))?;
        Ok(Self { operators, memory_bytes, file_bytes: number(3)? })
    }
}

/// The fields that are numbers. The first two are the runtime's.
const FIELDS: [&str; 4] = ["format_version", "feature_bits", "memory_bytes", "file_bytes"];

fn names(input: ParseStream<'_>) -> syn::Result<Vec<OpCode>> {
    let list;
    bracketed!(list in input);
    let names = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;
    let mut operators = names
        .iter()
        .map(|name| {
            let found = OpCode::ALL.iter().find(|op| op.name() == name.value());
            found.copied().ok_or_else(|| {
                error(format!("this runtime has no operator `{}`; `flatpack ops` lists them", name.value()))
            })
        })
        .collect::<syn::Result<Vec<_>>>()?;
    operators.sort_unstable();
    operators.dedup();
    Ok(operators)
}

fn error(what: String) -> syn::Error {
    syn::Error::new(Span::call_site(), what)
}

/// The items that `flatpack_runtime::include_features!` describes.
pub(crate) fn module(call: &Call, path: &str, text: &str) -> syn::Result<TokenStream> {
    let Firmware { operators, memory_bytes, file_bytes } = syn::parse_str(text)?;
    let Call { runtime, attributes, visibility, name, .. } = call;
    let kernels = operators.iter().map(|op| format_ident!("{}", op.name()));
    let blocks = memory_bytes / ALIGN as usize;
    Ok(quote! {
        /// What this firmware can run.
        #(#attributes)*
        #[allow(non_snake_case, dead_code)]
        #visibility mod #name {
            // The compiler is to know that the program depends on the file.
            const _: &[u8] = ::core::include_bytes!(#path);

            /// Bytes that the largest model may have, in the file.
            pub const FILE_BYTES: usize = #file_bytes;

            /// Memory for arena and state of any model, and its far arena.
            pub type Arena = [#runtime::Block; #blocks];

            /// What a static arena begins as.
            pub const ARENA: Arena = [#runtime::Block::ZERO; #blocks];

            /// The kernels.
            pub static KERNELS: &[#runtime::Kernel] = &[#(#runtime::ops::#kernels::KERNEL),*];

            /// Parses the file that a memory begins with, such as a partition of flash, and checks every
            /// step against its kernel.
            ///
            /// # Errors
            /// The first rule that the file breaks, or what it needs and this firmware lacks.
            pub fn load<'a>(
                memory: &'a [u8],
                arena: &'a mut Arena,
            ) -> ::core::result::Result<#runtime::Session<'a>, #runtime::FileError> {
                let file = #runtime::Model::file_in(memory);
                #runtime::Session::from_file(file, KERNELS, #runtime::Block::bytes_mut(arena))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../firmware-example/features.json");

    fn refusal(text: &str) -> String {
        syn::parse_str::<Firmware>(text).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn operators_are_those_of_the_list_each_once() {
        let text = TEXT.replace("\"operators\": [", "\"operators\": [\"lookup\", \"lookup\", ");
        let firmware: Firmware = syn::parse_str(&text).unwrap();
        assert_eq!(firmware.operators.iter().filter(|op| **op == OpCode::Lookup).count(), 1);
        assert_eq!(firmware.memory_bytes % 16, 0);
    }

    #[test]
    fn what_the_runtime_is_not_is_refused() {
        let known = "\"format_version\": 1";
        assert!(TEXT.contains(known));
        assert_eq!(
            refusal(&TEXT.replace(known, "\"format_version\": 2")),
            "format_version is 2, and 1 in this runtime: write what it is"
        );
        assert_eq!(
            refusal(&TEXT.replace("\"operators\": [", "\"operators\": [\"conv2d\", ")),
            "this runtime has no operator `conv2d`; `flatpack ops` lists them"
        );
    }

    #[test]
    fn fields_are_all_there_and_no_others() {
        assert_eq!(refusal("{}"), "the field format_version is missing");
        assert!(refusal("{\"memory\": 3}").starts_with("`memory` is no field: expected operators, "));
        assert_eq!(refusal(&TEXT.replace("8704", "8706")), "memory_bytes is 8706, expected a multiple of 16");
        assert_eq!(refusal("[]"), "expected curly braces");
    }
}
