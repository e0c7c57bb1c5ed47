//! Arrays from and to files that people have: .npy, .npz, .csv, .png, .jpg, .bmp.

use crate::array::Array;
use flatpack_format::DType;
use ndarray_npy::{
    NpzReader, ReadNpyError, ReadNpyExt, ReadNpzError, ReadableElement, WritableElement, WriteNpyExt,
};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
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
/// Numbers of any width become `f32`; bytes stay recognisable by [`Array::dtype`]. An image is `[1, height, width, channels]` with values from 0
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

/// The images of a folder, in the order of their names, as one array `[images, height, width, channels]`.
///
/// # Errors
/// If there is no image, one cannot be read, or they differ in size.
pub fn load_images(folder: &Path) -> Result<Array, DataError> {
    let content =
        |file: &Path, detail: String| DataError::Content { file: file.display().to_string(), detail };
    let mut stacked: Option<Array> = None;
    for path in images(folder)? {
        for (_, image) in load(&path)? {
            let Some(all) = &mut stacked else {
                stacked = Some(image);
                continue;
            };
            if all.shape[1..] != image.shape[1..] {
                let [found, first] = [&image, all].map(|a| format!("{:?}", &a.shape[1..]));
                return Err(content(
                    &path,
                    format!(
                        "its height, width and channels are {found}, those of the images before it {first}: scale them to one size"
                    ),
                ));
            }
            all.shape[0] += image.shape[0];
            all.values.extend(image.values);
        }
    }
    stacked.ok_or_else(|| content(folder, "no image (.png, .jpg, .bmp) is in this folder".into()))
}

/// The images of a folder, in the order of their names.
///
/// # Errors
/// If the folder cannot be read.
pub fn images(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failure = |error: std::io::Error| DataError::Io { file: folder.display().to_string(), error };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failure)? {
        let path = entry.map_err(failure)?.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if ["png", "jpg", "jpeg", "bmp"].contains(&extension.as_str()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Writes an array as .npy, in the type in which its values were stored.
///
/// # Errors
/// If the file cannot be written.
pub fn save_npy(path: &Path, array: &Array) -> Result<(), DataError> {
    match array.dtype {
        DType::I8 => write_npy(path, array, |v| v as i8),
        DType::U8 => write_npy(path, array, |v| v as u8),
        _ => write_npy(path, array, |v| v),
    }
    .map_err(|error| DataError::Io { file: path.display().to_string(), error })
}

fn write_npy<T: WritableElement>(path: &Path, array: &Array, of: impl Fn(f32) -> T) -> std::io::Result<()> {
    let file = std::io::BufWriter::new(fs::File::create(path)?);
    let values = array.values.iter().map(|&v| of(v)).collect();
    let array = ArrayD::from_shape_vec(IxDyn(&array.shape), values).map_err(std::io::Error::other)?;
    array.write_npy(file).map_err(std::io::Error::other)
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
            attempt!($element, $convert, DType::F32)
        };
        ($element:ty, $convert:expr, $dtype:expr) => {
            match stored.read::<$element>() {
                Ok(array) => {
                    let shape = array.shape().to_vec();
                    return Ok(Array::new(shape, array.iter().map($convert).collect()).stored_as($dtype));
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
    attempt!(u8, |&v| f32::from(v), DType::U8);
    attempt!(i8, |&v| f32::from(v), DType::I8);
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
    let values = pixels.into_iter().map(f32::from).collect();
    Ok(Array::new([1, height, width, channels], values).stored_as(DType::U8))
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
        for (dtype, values) in [(DType::I8, vec![-128.0, 127.0]), (DType::U8, vec![0.0, 255.0])] {
            let array = Array::new([2], values).stored_as(dtype);
            save_npy(&path, &array).unwrap();
            assert_eq!(load(&path).unwrap(), [("a".to_owned(), array)]);
        }
    }

    #[test]
    fn images_of_a_folder_are_stacked_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str, width: u32, grey: u8| {
            image::GrayImage::from_pixel(width, 2, image::Luma([grey]))
                .save(folder.path().join(name))
                .unwrap();
        };
        assert!(load_images(folder.path()).unwrap_err().to_string().contains("no image"));
        save("b.png", 3, 20);
        save("a.PNG", 3, 10);
        let stacked = load_images(folder.path()).unwrap();
        assert_eq!(stacked.shape, [2, 2, 3, 1]);
        assert_eq!(stacked.values, [[10.0; 6], [20.0; 6]].concat());
        save("c.png", 4, 0);
        let refused = load_images(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("c.png") && refused.contains("[2, 4, 1]"), "{refused}");
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
