//! Maps: what stands in place of custom layers and Lambdas.
//!
//! Expected outputs are Keras' own; `data/maps/make.py` made them.

mod close;
mod folders;
mod unpacked;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use close::assert_close;
use flatpack::array::Array;
use flatpack::build::{Options, build};
use flatpack::data::load;
use flatpack::import::keras::{self, LayerMap};
use flatpack::import::{ImportError, Origin, open, survey};
use flatpack::predict::predict;
use flatpack_format::Model;
use folders::folders;
use unpacked::unpacked;

fn options(map: &Path) -> Result<keras::Options, ImportError> {
    Ok(keras::Options { map: Some(Arc::new(LayerMap::open(map)?)), ..keras::Options::default() })
}

fn outputs(file: &Path, map: &Path, inputs: &[Array]) -> Result<(Vec<Array>, Origin), ImportError> {
    let options = keras::Options { batch: Some(inputs[0].shape[0]), ..options(map)? };
    let (graph, origin) = open(file, None)?.graph(&options)?;
    let built = build(graph, &Options::default()).unwrap();
    Ok((predict(Model::parse(built.bytes()).unwrap(), inputs).unwrap(), origin))
}

fn npy(file: PathBuf) -> Array {
    load(&file).unwrap().remove(0).1
}

/// The forms of the model in a folder.
fn forms(folder: &Path) -> Vec<PathBuf> {
    let forms = ["model.keras", "model.h5", "model"].map(|name| folder.join(name));
    forms.into_iter().filter(|form| form.exists()).collect()
}

/// A SavedModel whose root is of a class of its own is read by its functions, which hold all code.
fn is_of_functions(form: &Path) -> bool {
    form.ends_with("nested_tf_keras/model")
}

/// The error of a map that is written anew for the model of `case`.
fn error_of(case: &Path, map: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), map).unwrap();
    let graph = open(&case.join("model.h5"), None).unwrap();
    let error = options(file.path()).and_then(|options| graph.graph(&options)).unwrap_err();
    error.to_string()
}

#[test]
fn models_with_a_map_compute_what_keras_does() {
    let (cases, _) = unpacked("maps/maps.zip");
    let mut count = 0;
    for case in folders(cases.path()) {
        let [x, y] = ["x_0.npy", "y.npy"].map(|name| npy(case.join(name)));
        for form in forms(&case).into_iter().filter(|form| !is_of_functions(form)) {
            let (computed, origin) = outputs(&form, &case.join("map.toml"), std::slice::from_ref(&x))
                .unwrap_or_else(|error| panic!("{error}"));
            assert_close(&computed, std::slice::from_ref(&y), &form);
            let notes = origin.notes.iter().filter(|note| note.contains("computed as map.toml says"));
            let entries = fs::read_to_string(case.join("map.toml")).unwrap();
            assert_eq!(notes.count(), entries.matches("\n[").count() + 1, "{form:?}: {:?}", origin.notes);
            count += 1;
        }
    }
    assert_eq!(count, 14 * 2 + 6);
}

#[test]
fn without_a_map_they_are_refused_and_told_of_it() {
    let (cases, _) = unpacked("maps/maps.zip");
    for case in folders(cases.path()) {
        for form in forms(&case) {
            let built = open(&form, None).and_then(|source| source.graph(&keras::Options::default()));
            if is_of_functions(&form) {
                built.unwrap_or_else(|error| panic!("{error}"));
                let error = outputs(&form, &case.join("map.toml"), &[npy(case.join("x_0.npy"))]).unwrap_err();
                assert!(error.to_string().contains("`--map` with a file that holds operators"), "{error}");
                continue;
            }
            let fault = built.unwrap_err().fault;
            assert!(fault.remedy().is_some_and(|remedy| remedy.contains("--map")), "{form:?}: {fault}");
        }
    }
}

#[test]
fn a_survey_finds_nothing_to_refuse_with_a_map() {
    let (cases, _) = unpacked("maps/maps.zip");
    for case in folders(cases.path()) {
        for form in forms(&case).into_iter().filter(|form| !is_of_functions(form)) {
            let found = survey(&form, None, &options(&case.join("map.toml")).unwrap()).unwrap();
            assert!(found.refusals.is_empty(), "{form:?}: {:?}", found.refusals);
            let told = found.notes.iter().any(|note| note.contains("computed as map.toml says"));
            assert!(told, "{form:?}: {:?}", found.notes);
        }
    }
}

#[test]
fn what_does_not_fit_the_layers_is_refused() {
    let (cases, _) = unpacked("maps/maps.zip");
    let case = |name: &str| cases.path().join(name);
    let lambda = |expression: &str| {
        error_of(
            &case("lambdas_keras"),
            &format!("[layer.scale]\nexpression = '{expression}'\n[class.Lambda]\nexpression = 'x'\n"),
        )
    };
    for (expression, expected) in [
        ("y * 2", "`y` is not known: names are `x`, functions those of `keras.ops`"),
        ("foo(x)", "`foo` is not known"),
        ("K.hard_sigmoid(x)", "`K.hard_sigmoid` is not known"),
        ("tf.py_function(x)", "`tf.py_function` is not known"),
        ("os.system(\"true\")", "`os.system` is not known"),
        ("x.shape", "`x.shape` is not known"),
        ("x * $rate", "the file has no argument `rate` for the layer; it has `name`"),
        ("1 + 2", "the result does not depend on the input"),
        ("x / (1 / 0)", "TrueDivide of 1 and 0 is no number"),
        ("mean(x, 1, True, 2)", "`mean` takes at most 3 arguments"),
        ("mean(x, 1, axis=1)", "`mean` is given `axis` twice"),
        ("mean(x, size=1)", "the argument `size` (1) is not supported"),
        ("split(x, 2, 1)", "`split` gives several tensors: take one, as in `split(…)[0]`"),
        ("x(1)", "`x` is no function"),
        ("[x, [x, 1]]", "the result does not depend on the input"),
        ("reshape(x, [7])", "the shape: found [7], expected one of 24 elements"),
    ] {
        let error = lambda(expression);
        assert!(error.contains("layer `scale"), "{expression}: {error}");
        assert!(error.contains(expected), "{expression}: {error}");
    }
    for (case_name, map, expected) in [
        (
            "lambdas_keras",
            "[class.Lambda]\nexpression = 'x'",
            "layer `both` (Lambda): the call: found 2 tensors",
        ),
        (
            "masks_keras",
            "[class.Scaled]\nexpression = 'x'",
            "a mask comes to the layer: add `masks = \"pass\"`",
        ),
        ("weights_keras", "[class.Pooled]\nexpression = 'mean(x, 1)'", "found 3 arrays"),
        (
            "weights_keras",
            "[class.Pooled]\nweights = ['a']\nexpression = 'mean(x, 1)'",
            "layer `pooled` (zoo>Pooled): weights: found 3 arrays",
        ),
        (
            "compositions_keras",
            "[class.Residual]\nlayers = [{ layer = 'Dense', config = { units = '$size' } }]",
            "the file has no argument `size` for the layer",
        ),
        (
            "compositions_keras",
            "[class.Residual]\nlayers = [{ layer = 'Residual' }, { layer = 'Residual' }]",
            "it needs the custom layer `Residual`",
        ),
        (
            "compositions_keras",
            "[class.Residual]\nlayers = [{ layer = 'Tense' }]",
            "it needs the custom layer `Tense`",
        ),
        ("wrappers_keras", "[class.Twice]\nlayer = 'Dense'", "`units`: found nothing"),
    ] {
        let error = error_of(&case(case_name), map);
        assert!(error.contains(expected), "{case_name}: {error}");
    }
}

#[test]
fn keras_own_layers_are_what_they_are() {
    let (cases, _) = unpacked("maps/maps.zip");
    let case = cases.path().join("masks_keras");
    let file = tempfile::NamedTempFile::new().unwrap();
    let map = "[class.Scaled]\nexpression = 'x * 2'\nmasks = 'pass'\n[class.Dense]\nexpression = 'x'\n";
    fs::write(file.path(), map).unwrap();
    let [x, y] = ["x_0.npy", "y.npy"].map(|name| npy(case.join(name)));
    let (computed, origin) = outputs(&case.join("model.keras"), file.path(), &[x]).unwrap();
    assert_close(&computed, &[y], &case);
    assert!(origin.notes.iter().any(|note| note.starts_with("`class.Dense` of ")), "{:?}", origin.notes);
}
