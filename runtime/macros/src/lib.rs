//! The procedures behind `flatpack_runtime::include_model!` and `include_features!`, where they are
//! described.
//!
//! It sees the format, not the runtime: a crate that the runtime gives to its users cannot depend on
//! the runtime. The parser and the operators' rules are those that the runtime uses.
#![forbid(unsafe_code)]

mod call;
mod check;
mod features;
mod module;

use call::Call;
use proc_macro::TokenStream;

/// Makes a module of a `.fpk` file: `include_model_from!(path of the runtime, visibility NAME, "file")`.
#[proc_macro]
pub fn include_model_from(call: TokenStream) -> TokenStream {
    expand(call.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a module of a `features.json`, with the same arguments.
#[proc_macro]
pub fn include_features_from(call: TokenStream) -> TokenStream {
    expand_features(call.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand_features(call: proc_macro2::TokenStream) -> syn::Result<proc_macro2::TokenStream> {
    let call: Call = syn::parse2(call)?;
    let file = call.find()?;
    let refused = |why: String| syn::Error::new(call.span, format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|error| refused(error.to_string()))?;
    features::module(&call, &file.to_string_lossy(), &text).map_err(|error| refused(error.to_string()))
}

fn expand(call: proc_macro2::TokenStream) -> syn::Result<proc_macro2::TokenStream> {
    let call: Call = syn::parse2(call)?;
    let file = call.find()?;
    let refused = |why: String| syn::Error::new(call.span, format!("{}: {why}", file.display()));
    let bytes = std::fs::read(&file).map_err(|error| refused(error.to_string()))?;
    check::with_model(&bytes, |model| module::of(&call, &file, model)).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    const DIGITS: &str = "../../firmware-example/digits_cnn.fpk";

    fn refusal(call: proc_macro2::TokenStream) -> String {
        expand(call).unwrap_err().to_string()
    }

    #[test]
    fn a_model_becomes_a_module() {
        let module = expand(quote!(::flatpack_runtime, pub(crate) DIGITS, #DIGITS)).unwrap().to_string();
        for part in ["pub (crate) mod DIGITS", "ARENA_BYTES : usize = 8704", "ops :: conv_2d :: KERNEL"] {
            assert!(module.contains(part), "{part} is not in {module}");
        }
    }

    #[test]
    fn features_become_a_module() {
        let call = quote!(::flatpack_runtime, pub FIRMWARE, "../../firmware-example/features.json");
        let module = expand_features(call).unwrap().to_string();
        assert!(
            module.contains("pub mod FIRMWARE") && module.contains("ops :: max_pool_2d :: KERNEL"),
            "{module}"
        );
        let error = expand_features(quote!(::flatpack_runtime, FIRMWARE, "Cargo.toml")).unwrap_err();
        assert!(error.to_string().ends_with("Cargo.toml: expected curly braces"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = refusal(quote!(::flatpack_runtime, NAME, "no/such.fpk"));
        assert!(error.contains("runtime/macros/no/such.fpk: No such file"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_model_is_refused_with_the_rule() {
        let error = refusal(quote!(::flatpack_runtime, NAME, "Cargo.toml"));
        assert!(
            error.contains("Cargo.toml: V02 at byte 0x0: not so: the file starts with the magic"),
            "{error}"
        );
    }

    #[test]
    fn a_call_needs_a_name_and_a_file() {
        assert_eq!(refusal(quote!(::flatpack_runtime, "kws.fpk")), "expected identifier");
        assert_eq!(refusal(quote!(::flatpack_runtime, NAME, 3)), call::NO_FILE);
        assert_eq!(refusal(quote!(::flatpack_runtime, NAME, option_env!("FILE"))), call::NO_FILE);
        let error = refusal(quote!(::flatpack_runtime, NAME, env!("NO_SUCH_VARIABLE")));
        assert!(error.contains("NO_SUCH_VARIABLE"), "{error}");
    }
}
