//! HDF5 with variables in their places, as in a `.keras` archive and in `.weights.h5`.
//!
//! Keras walks a model's attributes and gives each object that has variables a group `vars` at its
//! place, with datasets `0`, `1`, …: `layers/dense_1/vars/0` is the first variable of the second `Dense`
//! among the model's layers, whatever that layer is called. Files written on Windows by Keras 2 have
//! `layers\dense_1` as the name of one group.

use std::collections::BTreeMap;

use super::h5::Read;
use super::saved::{Dropped, Weights};
use crate::import::Fault;
use crate::import::hdf5::{Found, Group};

/// Attributes of a model that hold its layers, the one of Keras 2.13 and 2.14 last.
pub(super) const CONTAINERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];

/// State of a random number generator: nothing that a prediction takes.
const SEEDS: &str = "seed_generator";

/// Whether a group with these members holds variables in their places.
pub(super) fn are_in(members: &[String]) -> bool {
    let top = |member: &String| member.split('\\').next().unwrap_or_default().to_owned();
    members.iter().any(|member| CONTAINERS.contains(&top(member).as_str()) || member == "vars")
}

/// Reads the variables of all layers below `root`, and notes what else is there as dropped.
pub(super) fn read(root: &Group, read: &mut Read) -> Result<Weights, Fault> {
    let mut places: BTreeMap<String, Vec<(String, Found)>> = BTreeMap::new();
    let mut dropped: BTreeMap<String, u64> = BTreeMap::new();
    for found in root.datasets_below()? {
        let path = found.path.replace('\\', "/");
        let top = path.split('/').next().unwrap_or_default();
        let place = path.rsplit_once('/').and_then(|(at, number)| Some((at.strip_suffix("/vars")?, number)));
        match place {
            _ if path.split('/').any(|part| part == SEEDS) => {
                *dropped.entry(SEEDS.into()).or_default() += found.bytes()?
            }
            Some((place, number)) if CONTAINERS.contains(&top) => {
                places.entry(place.to_owned()).or_default().push((number.to_owned(), found));
            }
            _ => *dropped.entry(top.to_owned()).or_default() += found.bytes()?,
        }
    }
    let dropped = dropped.into_iter().filter(|(_, bytes)| *bytes > 0);
    read.dropped.extend(dropped.map(|(name, bytes)| Dropped { name, bytes }));

    let mut groups = Vec::with_capacity(places.len());
    for (place, mut found) in places {
        found.sort_by_key(|(number, _)| number.parse().unwrap_or(usize::MAX));
        let mut weights = Vec::with_capacity(found.len());
        for (at, (number, found)) in found.iter().enumerate() {
            if number.parse::<usize>().is_err() {
                return Err(Fault::Unsupported {
                    what: format!(
                        "the variable `{place}/vars/{number}`, which has a name in place of a number,"
                    ),
                    remedy:
                        "build the model without this layer; a lookup may not have the output mode \"tf_idf\""
                            .into(),
                });
            }
            if number.parse() != Ok(at) {
                return Err(Fault::Weights {
                    found: format!("`{place}/vars/{number}`"),
                    expected: format!("`{place}/vars/{at}`: variables are numbered from 0"),
                });
            }
            weights.push(read.weight(format!("{place}/vars/{number}"), root.read(found)?));
        }
        groups.push((place, weights));
    }
    Ok(Weights::by_path(groups))
}
