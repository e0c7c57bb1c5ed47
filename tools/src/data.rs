//! Arrays from and to files that people have: .npy, .npz, .csv, .png, .jpg, .bmp.

use crate::array::Array;
use ndarray_npy::{NpzReader, ReadNpyError, ReadNpyExt, ReadNpzError, ReadableElement, WriteNpyExt};
use std::fs;
use std::io::Cursor;
use std::path::Path;
use thiserror::Error;
use tract_core::ndarray::{ArrayD, IxDyn, OwnedRepr};

/// Why a file gives no arrays.
#[derive(Debug, Error, miette::Diagnostic)]
pub enum DataError {
    /// The system cannot read or write it.
    #[error("{file}: {error}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is not what its name says.
    #[error("{file}: {detail}")]
    #[diagnostic(help("arrays are read from .npy, .npz, .csv, .png, .jpg and .bmp"))]
    Content {
        /// The file.
        file: String,
        /// What is wrong.
        detail: String,
    },
}

/// The arrays of a file with their names; a file of one array gives it its own name.
///
/// Numbers of any width become `f32`. An image is `[1, height, width, channels]` with values from 0
/// to 255; the rows of a table are `[rows, columns]`.
///
/// # Errors
/// If the file cannot be read or is not what its name says.
pub fn load(path: &Path) -> Result<Vec<(String, Array)>, DataError> {
    let bytes = fs::read(path).map_err(|error| DataError::Io { file: path.display().to_string(), error })?;
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let loaded = match extension.as_str() {
        "npy" => numbers(&mut Npy(&bytes)).map(|array| vec![(name, array)]),
        "npz" => npz(&bytes),
        "csv" => csv(&bytes).map(|array| vec![(name, array)]),
        "png" | "jpg" | "jpeg" | "bmp" => image(&bytes).map(|array| vec![(name, array)]),
        other => Err(format!("the ending `.{other}` is none that arrays are read from")),
    };
    loaded.map_err(|detail| DataError::Content { file: path.display().to_string(), detail })
}

/// Writes an array as .npy.
///
/// # Errors
/// If the file cannot be written.
pub fn save_npy(path: &Path, array: &Array) -> Result<(), DataError> {
    let failure = |error: std::io::Error| DataError::Io { file: path.display().to_string(), error };
    let file = fs::File::create(path).map_err(failure)?;
    let array = ArrayD::from_shape_vec(IxDyn(&array.shape), array.values.clone())
        .map_err(|error| failure(std::io::Error::other(error)))?;
    array.write_npy(std::io::BufWriter::new(file)).map_err(|error| failure(std::io::Error::other(error)))
}

/// A stored array, to be read as elements of a type.
trait Stored {
    fn read<T: ReadableElement>(&mut self) -> Result<ArrayD<T>, ReadNpyError>;
}

struct Npy<'a>(&'a [u8]);

impl Stored for Npy<'_> {
    fn read<T: ReadableElement>(&mut self) -> Result<ArrayD<T>, ReadNpyError> {
        ArrayD::<T>::read_npy(Cursor::new(self.0))
    }
}

struct Entry<'a, 'b>(&'a mut NpzReader<Cursor<&'b [u8]>>, &'a str);

impl Stored for Entry<'_, '_> {
    fn read<T: ReadableElement>(&mut self) -> Result<ArrayD<T>, ReadNpyError> {
        self.0.by_name::<OwnedRepr<T>, IxDyn>(self.1).map_err(|error| match error {
            ReadNpzError::Npy(error) => error,
            ReadNpzError::Zip(error) => ReadNpyError::ParseData(Box::new(error)),
        })
    }
}

/// The array as `f32`, whatever type of number it holds: each is tried.
fn numbers(stored: &mut impl Stored) -> Result<Array, String> {
    macro_rules! attempt {
        ($element:ty, $convert:expr) => {
            match stored.read::<$element>() {
                Ok(array) => {
                    let shape = array.shape().to_vec();
                    return Ok(Array::new(shape, array.iter().map($convert).collect()));
                }
                Err(ReadNpyError::WrongDescriptor(found)) => found.to_string(),
                Err(error) => return Err(error.to_string()),
            }
        };
    }
    attempt!(f32, |&v| v);
    attempt!(f64, |&v| v as f32);
    attempt!(i64, |&v| v as f32);
    attempt!(i32, |&v| v as f32);
    attempt!(u8, |&v| f32::from(v));
    attempt!(i8, |&v| f32::from(v));
    attempt!(u16, |&v| f32::from(v));
    attempt!(i16, |&v| f32::from(v));
    attempt!(u32, |&v| v as f32);
    attempt!(u64, |&v| v as f32);
    let found = attempt!(bool, |&v| f32::from(u8::from(v)));
    Err(format!("its elements are {found}, expected numbers of 1 to 8 bytes"))
}

fn npz(bytes: &[u8]) -> Result<Vec<(String, Array)>, String> {
    let mut archive = NpzReader::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let names = archive.names().map_err(|error| error.to_string())?;
    let mut arrays = Vec::new();
    for name in names {
        let array = numbers(&mut Entry(&mut archive, &name)).map_err(|error| format!("{name}: {error}"))?;
        arrays.push((name, array));
    }
    Ok(arrays)
}

/// A table of numbers; a first line that is not all numbers is a header.
fn csv(bytes: &[u8]) -> Result<Array, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(bytes);
    let (mut values, mut columns, mut rows) = (Vec::new(), 0, 0);
    for (line, record) in (1..).zip(reader.records()) {
        let record = record.map_err(|error| error.to_string())?;
        let numbers: Result<Vec<f32>, _> = record.iter().map(str::parse).collect();
        match numbers {
            Ok(numbers) => {
                columns = numbers.len();
                values.extend(numbers);
                rows += 1;
            }
            Err(_) if line == 1 => {}
            Err(_) => return Err(format!("line {line} holds something else than numbers")),
        }
    }
    Ok(Array::new([rows, columns], values))
}

fn image(bytes: &[u8]) -> Result<Array, String> {
    let image = image::load_from_memory(bytes).map_err(|error| error.to_string())?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (channels, pixels) = match image.color().channel_count() {
        1 | 2 => (1, image.into_luma8().into_raw()),
        _ => (3, image.into_rgb8().into_raw()),
    };
    Ok(Array::new([1, height, width, channels], pixels.into_iter().map(f32::from).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_that_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let array = Array::new([2, 3], vec![1.0, -2.5, 3.0, f32::MIN_POSITIVE, 0.0, 6.0]);
        save_npy(&path, &array).unwrap();
        assert_eq!(load(&path).unwrap(), [("a".to_owned(), array)]);
    }

    #[test]
    fn a_table_may_have_a_header() {
        let array = csv(b"a, b\n1, 2\n3, 4.5\n").unwrap();
        assert_eq!(array, Array::new([2, 2], vec![1.0, 2.0, 3.0, 4.5]));
        assert!(csv(b"1,2\n3,x\n").unwrap_err().contains("line 2"));
    }

    #[test]
    fn an_unknown_ending_says_which_are_known() {
        let error = load(Path::new("Cargo.toml")).unwrap_err();
        assert!(error.to_string().contains(".toml"), "{error}");
    }
}
