//! A model of the corpus with its data, and how far outputs are from the truth.

use super::Outcome;
use flatpack::array::Array;
use flatpack::data;
use flatpack::import::{self, keras};
use flatpack::predict::{Outputs, predict_as};
use flatpack_runtime::MappedModel;
use std::path::{Path, PathBuf};

/// Models of `open`, and the `.tflite` of the same model there: in float32, in 8-bit integers.
pub(crate) const OPEN: [(&str, Option<&str>, Option<&str>); 8] = [
    ("tiny_resnet8_cifar10", Some("tl_resnet8_fp32"), Some("tl_resnet8_int8")),
    ("tiny_ad01_autoencoder", None, Some("tl_ad01_int8")),
    ("tl_kws_fp32", Some("tl_kws_fp32"), Some("tl_kws_int8")),
    ("tl_kws_int8", None, Some("tl_kws_int8")),
    ("tl_resnet8_fp32", Some("tl_resnet8_fp32"), Some("tl_resnet8_int8")),
    ("tl_resnet8_int8", None, Some("tl_resnet8_int8")),
    ("tl_ad01_int8", None, Some("tl_ad01_int8")),
    ("tl_person_detect_int8", None, Some("tl_person_detect_int8")),
];

/// The `.tflite` of the trained models.
const TFLITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tflite");

pub(crate) fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A model and its data.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) model: PathBuf,
    pub(crate) x: Array,
    /// What Keras or TensorFlow Lite gave.
    pub(crate) truth: Array,
    /// Rows to calibrate on, and rows to be judged by.
    pub(crate) calibrate: Vec<usize>,
    pub(crate) judge: Vec<usize>,
    /// Labelled data.
    pub(crate) test: Option<PathBuf>,
    /// Whether the source is of integers itself.
    pub(crate) of_integers: bool,
    /// The `.tflite` of the same model, of each kind that there is.
    pub(crate) tflite: [Option<PathBuf>; 4],
    /// What TensorFlow made of it, calibrated on the same rows.
    pub(crate) peer: Option<PathBuf>,
}

impl Entry {
    pub(crate) fn read(folder: &Path, more: Option<&Path>) -> Outcome<Self> {
        let name = name_of(folder);
        let model = ["model.h5", "model.tflite"].map(|file| folder.join(file));
        let model = model.into_iter().find(|model| model.is_file()).ok_or("no model.h5 or model.tflite")?;
        let of_integers = import::open(&model, None)?.graph(&keras::Options::default())?.0.has_integers();
        let given = |what: &str| more.map(|m| m.join(format!("{name}{what}"))).filter(|path| path.is_file());
        let test = Some(folder.join("test.npz")).filter(|test| test.is_file());
        let array = |path: &Path, name: &str| -> Outcome<Array> {
            let found = data::load(path)?.into_iter().find(|(n, _)| n == name || name.is_empty());
            Ok(found.ok_or_else(|| format!("{} has no {name}", path.display()))?.1)
        };
        // Every fourth row calibrates, or the first half, or all.
        let (x, truth, part) = match (&test, given("_x.npy").zip(given("_keras.npy"))) {
            (Some(test), _) => (array(test, "x")?, array(test, "keras")?, 4),
            (None, Some((x, keras))) => (array(&x, "")?, array(&keras, "")?, 2),
            (None, None) => {
                let truth = if of_integers { "tflm_output_0.npy" } else { "output_0.npy" };
                (array(&folder.join("input_0.npy"), "")?, array(&folder.join(truth), "")?, 1)
            }
        };
        let count = x.shape[0];
        let (calibrate, judge) = match part {
            4 => (0..count).partition(|row| row % 4 == 0),
            2 => (0..count).partition(|row| 2 * row < count),
            _ => ((0..count).collect(), (0..count).collect()),
        };
        let known = OPEN.iter().find(|(open, ..)| *open == name);
        let tflite = match known {
            Some((_, float32, int8)) => [*float32, None, None, *int8]
                .map(|other| Some(folder.with_file_name(other?).join("model.tflite"))),
            None => ["float32", "dynamic_range", "float16", "int8"]
                .map(|kind| Some(Path::new(TFLITE).join(&name).join(kind).with_extension("tflite"))),
        };
        let tflite = tflite.map(|path| path.filter(|path| path.is_file()));
        let peer = given(".tflite");
        Ok(Self { name, model, x, truth, calibrate, judge, test, of_integers, tflite, peer })
    }

    /// How far a file's outputs are from the truth.
    pub(crate) fn distance(&self, file: &Path, judge: &[usize]) -> Outcome<Distance> {
        let outputs = if self.of_integers { Outputs::Raw } else { Outputs::Reals };
        let got = predict_as(MappedModel::open(file)?.model()?, &[rows(&self.x, judge)], outputs)?;
        Ok(Distance::of(&got[0].values, &rows(&self.truth, judge).values))
    }
}

/// The rows of an array with these numbers.
pub(crate) fn rows(array: &Array, numbers: &[usize]) -> Array {
    let len = array.len() / array.shape[0].max(1);
    let values: Vec<f32> =
        numbers.iter().flat_map(|row| &array.values[row * len..][..len]).copied().collect();
    Array::new([&[numbers.len()], &array.shape[1..]].concat(), values).stored_as(array.dtype)
}

/// How far outputs are from the truth.
pub(crate) struct Distance {
    pub(crate) snr_db: f64,
    pub(crate) rms: f64,
    pub(crate) largest: f64,
}

impl Distance {
    fn of(got: &[f32], truth: &[f32]) -> Self {
        let (mut signal, mut noise, mut largest) = (0.0, 0.0, 0.0f64);
        for (&got, &truth) in got.iter().zip(truth) {
            let difference = f64::from(got) - f64::from(truth);
            signal += f64::from(truth).powi(2);
            noise += difference.powi(2);
            largest = largest.max(difference.abs());
        }
        let snr_db = 10.0 * (signal / noise).log10();
        Self { snr_db, rms: (noise / truth.len() as f64).sqrt(), largest }
    }

    pub(crate) fn decibels(&self) -> String {
        if self.snr_db.is_finite() { format!("{:.1} dB", self.snr_db) } else { "exact".to_owned() }
    }
}
