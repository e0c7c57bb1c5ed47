//! Layers that act only in training: where a model is used, they hand on what they are given.

use super::Lower;

const IDENTITY: Lower = Lower::Map(|_, _, x| Ok(x));

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("ActivityRegularization", IDENTITY),
    ("AlphaDropout", IDENTITY),
    ("AugMix", IDENTITY),
    ("Dropout", IDENTITY),
    ("Equalization", IDENTITY),
    ("GaussianDropout", IDENTITY),
    ("GaussianNoise", IDENTITY),
    ("Identity", IDENTITY),
    ("RandAugment", IDENTITY),
    ("RandomBrightness", IDENTITY),
    ("RandomColorDegeneration", IDENTITY),
    ("RandomColorJitter", IDENTITY),
    ("RandomContrast", IDENTITY),
    ("RandomElasticTransform", IDENTITY),
    ("RandomErasing", IDENTITY),
    ("RandomFlip", IDENTITY),
    ("RandomGaussianBlur", IDENTITY),
    ("RandomGrayscale", IDENTITY),
    ("RandomHeight", IDENTITY),
    ("RandomHue", IDENTITY),
    ("RandomInvert", IDENTITY),
    ("RandomPerspective", IDENTITY),
    ("RandomPosterization", IDENTITY),
    ("RandomRotation", IDENTITY),
    ("RandomSaturation", IDENTITY),
    ("RandomSharpness", IDENTITY),
    ("RandomShear", IDENTITY),
    ("RandomTranslation", IDENTITY),
    ("RandomWidth", IDENTITY),
    ("RandomZoom", IDENTITY),
    ("Solarization", IDENTITY),
    ("SpatialDropout1D", IDENTITY),
    ("SpatialDropout2D", IDENTITY),
    ("SpatialDropout3D", IDENTITY),
];
