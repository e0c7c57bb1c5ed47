//! What a file is, judged by its bytes and not by its name.

/// The first eight bytes of an HDF5 superblock.
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// No bytes at all.
    Empty,
    /// HDF5, as of `model.save("model.h5")`.
    Hdf5,
    /// A zip archive, as of `model.save("model.keras")`.
    Zip,
    /// JSON text, as of `model.to_json()`.
    Json,
    /// An architecture as YAML, as of `model.to_yaml()`.
    Yaml,
    /// A TensorFlow Lite flatbuffer.
    TfLite,
    /// A Python pickle.
    Pickle,
    /// A tape archive.
    Tar,
    /// A protocol buffer, as of `saved_model.pb` or ONNX.
    Protobuf,
    /// A NumPy array.
    Npy,
    /// A gzip stream.
    Gzip,
    /// A zlib stream, as of `joblib.dump(…, compress=3)`.
    Zlib,
    /// A bzip2 stream.
    Bzip2,
    /// An xz or LZMA stream.
    Xz,
    /// The text that stands for a file kept by Git LFS.
    GitLfsPointer,
    /// A web page: what a failed download leaves behind.
    Html,
    /// Other text.
    Text,
    /// Other bytes.
    Unknown,
}

impl Content {
    /// Judges `bytes`, the whole file.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if bytes.starts_with(HDF5_SIGNATURE) {
            return Self::Hdf5;
        }
        // An HDF5 file in an archive may lie where one behind a user block does.
        if let [b'P', b'K', 3 | 5, 4 | 6, ..] = bytes {
            return Self::Zip;
        }
        if has_hdf5_signature(bytes) {
            return Self::Hdf5;
        }
        let text =
            std::str::from_utf8(bytes).ok().map(|text| text.trim_start_matches('\u{feff}').trim_start());
        match (bytes, text) {
            ([_, _, _, _, b'T', b'F', b'L', b'3', ..], _) => Self::TfLite,
            _ if is_pickle(bytes) => Self::Pickle,
            _ if bytes.get(257..262) == Some(b"ustar") => Self::Tar,
            ([0x93, b'N', b'U', b'M', b'P', b'Y', ..], _) => Self::Npy,
            ([0x1f, 0x8b, ..], _) => Self::Gzip,
            ([0x78, 0x01 | 0x5e | 0x9c | 0xda, ..], None) => Self::Zlib,
            ([b'B', b'Z', b'h', b'1'..=b'9', ..], None) => Self::Bzip2,
            ([0xfd, b'7', b'z', b'X', b'Z', 0, ..] | [0x5d, 0, 0, ..], _) => Self::Xz,
            (_, Some(text)) if text.starts_with("version https://git-lfs") => Self::GitLfsPointer,
            (_, Some(text)) if text.starts_with(['{', '[']) || text.starts_with("\"{") => Self::Json,
            (_, Some(text)) if text.starts_with('<') => Self::Html,
            (_, Some(text)) if text.lines().any(|line| line.starts_with("class_name:")) => Self::Yaml,
            // saved_model.pb and ONNX begin with a version number in field 1.
            ([0x08, 1..=30, 0x12 | 0x1a | 0x22 | 0x3a, ..], _) => Self::Protobuf,
            (_, Some(_)) => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// For a message: what the bytes look like.
    pub fn looks_like(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::Hdf5 => "an HDF5 file",
            Self::Zip => "a zip archive",
            Self::Json => "JSON text",
            Self::Yaml => "an architecture as YAML",
            Self::TfLite => "a TensorFlow Lite model",
            Self::Pickle => "a Python pickle",
            Self::Tar => "a tar archive",
            Self::Protobuf => "a protocol buffer (saved_model.pb or ONNX?)",
            Self::Npy => "a NumPy array",
            Self::Gzip => "a gzip stream",
            Self::Zlib => "a zlib stream",
            Self::Bzip2 => "a bzip2 stream",
            Self::Xz => "an xz or LZMA stream",
            Self::GitLfsPointer => "a Git LFS pointer: the text that stands for the model",
            Self::Html => "a web page",
            Self::Text => "text",
            Self::Unknown => "unknown bytes",
        }
    }

    /// For a message: how to get a model that is read instead.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::GitLfsPointer => "run `git lfs pull` in the repository the file is from",
            Self::Empty | Self::Html => "download or copy the model again",
            Self::Gzip | Self::Zlib => "it was compressed twice: unpack it first, as with `gunzip`",
            Self::Bzip2 => "unpack it first, as with `bunzip2`, or have `joblib.dump` compress with zlib",
            Self::Xz => "unpack it first, as with `unxz`, or have `joblib.dump` compress with zlib",
            Self::Json | Self::Yaml => {
                "the text is the architecture: pass it as the model and the HDF5 file as its weights"
            }
            Self::Protobuf => {
                "if it is `saved_model.pb`, pass the folder that it lies in; a model of ONNX is not read: build it in \
                 Keras and copy the weights"
            }
            _ => "in Python, load the model and save it with `model.save(\"model.keras\")`",
        }
    }
}

/// Protocols from 2 on say which they are. Before, a pickle begins with the opcode of a name (a module and
/// what is in it, a line each) or of a container, and all end with a full stop.
fn is_pickle(bytes: &[u8]) -> bool {
    let is_name = |line: &[u8]| {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"._".contains(byte);
        !line.is_empty() && line.iter().all(is_part)
    };
    match bytes {
        [0x80, 2..=5, ..] => true,
        [.., b'.'] => match bytes {
            [b'c', rest @ ..] => {
                let mut lines = rest.splitn(3, |&byte| byte == b'\n');
                lines.next().is_some_and(is_name) && lines.next().is_some_and(is_name)
            }
            [b'(', b'd' | b'l' | b't', b'p', b'0'..=b'9', ..] => true,
            [b'(', b'c' | b'i', ..] | [b'(', b'S', b'\'' | b'"', ..] => true,
            [b'}' | b']', b'q', ..] => true,
            _ => false,
        },
        _ => false,
    }
}

/// Behind a user block, the superblock is at 512, 1024, 2048 and so on.
fn has_hdf5_signature(bytes: &[u8]) -> bool {
    std::iter::successors(Some(512usize), |at| at.checked_mul(2))
        .take_while(|at| *at < bytes.len())
        .any(|at| bytes[at..].starts_with(HDF5_SIGNATURE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_known_by_its_first_bytes() {
        let cases: [(&[u8], Content); 18] = [
            (b"", Content::Empty),
            (b"\x89HDF\r\n\x1a\n\0\0", Content::Hdf5),
            (b"PK\x03\x04....", Content::Zip),
            (b"\n {\"class_name\": \"Model\"}", Content::Json),
            (b"\x1c\0\0\0TFL3\x14\0", Content::TfLite),
            (b"\x80\x04\x95\x10", Content::Pickle),
            (b"\x08\x01\x12\xf7\xe9\x04", Content::Protobuf),
            (b"\x93NUMPY\x01\0", Content::Npy),
            (b"\x1f\x8b\x08\0", Content::Gzip),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", Content::GitLfsPointer),
            (b"<!DOCTYPE html>", Content::Html),
            (b"\x78\x9c\xd5\x9a", Content::Zlib),
            (b"x^2 + 1", Content::Text),
            (b"BZh91AY&SY\xde", Content::Bzip2),
            (b"\xfd7zXZ\0\0", Content::Xz),
            (b"backend: tensorflow\nclass_name: Sequential\n", Content::Yaml),
            (b"hello", Content::Text),
            (b"\xff\xfe\xfd\xfc", Content::Unknown),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Content::of(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_superblock_may_stand_behind_a_user_block() {
        let mut bytes = vec![0; 1024];
        bytes.extend(HDF5_SIGNATURE);
        assert_eq!(Content::of(&bytes), Content::Hdf5);
        bytes[..4].copy_from_slice(b"PK\x03\x04");
        assert_eq!(Content::of(&bytes), Content::Zip);
    }
}
