//! What stands between the brackets of `include_model!`.

use proc_macro2::{Ident, Span};
use std::env;
use std::path::PathBuf;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, LitStr, Path, Token, Visibility, parenthesized};

/// Where a path is neither of the two ways to give one.
pub(crate) const NO_FILE: &str =
    "expected the path of a .fpk file, \"model.fpk\", or env!(\"VARIABLE\") that has it";

/// `path of the runtime, #[attributes] visibility NAME, "file"`.
pub(crate) struct Call {
    /// How the caller's crate names the runtime.
    pub(crate) runtime: Path,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    /// The file, or the variable of the environment that names it.
    text: LitStr,
    /// Whether it is a variable.
    pub(crate) is_variable: bool,
    /// Where errors of the file point.
    pub(crate) span: Span,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let runtime = input.parse()?;
        input.parse::<Token![,]>()?;
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let name = input.parse()?;
        input.parse::<Token![,]>()?;
        let (text, is_variable) = file(input)?;
        input.parse::<Option<Token![,]>>()?;
        let span = text.span();
        Ok(Self { runtime, attributes, visibility, name, text, is_variable, span })
    }
}

fn file(input: ParseStream<'_>) -> syn::Result<(LitStr, bool)> {
    if input.peek(LitStr) {
        return Ok((input.parse()?, false));
    }
    let no_file = syn::Error::new(input.span(), NO_FILE);
    match input.parse::<Ident>() {
        Ok(env) if env == "env" && input.peek(Token![!]) => {
            input.parse::<Token![!]>()?;
            let variable;
            parenthesized!(variable in input);
            Ok((variable.parse()?, true))
        }
        _ => Err(no_file),
    }
}

impl Call {
    /// The variable that names the file.
    pub(crate) fn variable(&self) -> Option<&LitStr> {
        self.is_variable.then_some(&self.text)
    }

    /// The file, relative paths being those from the folder of the caller's `Cargo.toml`.
    pub(crate) fn find(&self) -> syn::Result<PathBuf> {
        let variable = |name: &str| {
            env::var(name).map_err(|error| syn::Error::new(self.span, format!("{name}: {error}")))
        };
        let text = self.text.value();
        let path = if self.is_variable { variable(&text)? } else { text };
        Ok(PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join(path))
    }
}
