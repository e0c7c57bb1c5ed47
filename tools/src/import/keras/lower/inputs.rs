//! The extents of a model's inputs.

use super::Options;
use super::nodes::too_large;
use crate::graph::shape;
use crate::import::Fault;
use crate::import::keras::network::Input;
use flatpack_format::Shape;

/// The shape of a model's input, batch first.
pub(super) fn input_shape(input: &Input, options: &Options) -> Result<Shape, Fault> {
    let extents = extents(input, options)?;
    shape(&extents).filter(|shape| shape.len().is_some()).ok_or_else(|| too_large(&extents))
}

fn extents(input: &Input, options: &Options) -> Result<Vec<usize>, Fault> {
    if input.dtype == "string" {
        return Err(Fault::Unsupported {
            what: format!("text as input `{}`", input.name),
            remedy: "encode the text before the model and feed it numbers".into(),
        });
    }
    let given = options.input_shapes.iter().find(|(name, _)| *name == input.name).map(|(_, shape)| shape);
    let known = input.shape.as_deref();
    let batch = options.batch.or(known.and_then(|known| *known.first()?)).unwrap_or(1);
    let open = || Fault::Unsupported {
        what: format!(
            "input `{}` of {}",
            input.name,
            known.map_or("unknown shape".into(), |known| format!("the open shape {}", display(known)))
        ),
        remedy: format!(
            "give its extents after the batch: `--input-shape {}=…`, such as 224,224,3",
            input.name
        ),
    };
    let inner: Vec<usize> = match (given, known) {
        (Some(given), Some(known)) => {
            let fits = |(given, known): (&usize, &Option<usize>)| known.is_none_or(|known| known == *given);
            if given.len() + 1 != known.len() || !given.iter().zip(&known[1..]).all(fits) {
                return Err(Fault::Unexpected {
                    place: format!("`--input-shape {}`", input.name),
                    found: format!("{given:?}"),
                    expected: format!("extents after the batch that fit {}", display(known)),
                });
            }
            given.clone()
        }
        (Some(given), None) => given.clone(),
        (None, Some(known)) => known.iter().skip(1).copied().collect::<Option<_>>().ok_or_else(open)?,
        (None, None) => return Err(open()),
    };
    Ok(std::iter::once(batch).chain(inner).collect())
}

/// A shape as Keras prints it.
fn display(shape: &[Option<usize>]) -> String {
    let extent = |extent: &Option<usize>| extent.map_or("?".into(), |extent| extent.to_string());
    format!("[{}]", shape.iter().map(extent).collect::<Vec<_>>().join(", "))
}
