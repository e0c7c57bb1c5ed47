//! Files that are compressed as a whole, with gzip or zlib, as `joblib` compresses pickles.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::archive::{FREE_BYTES, MAX_EXPANSION};
use super::{Content, Fault};

/// The bytes themselves, or what they unpack to if they are compressed.
///
/// # Errors
/// When the stream is damaged, or unpacks to much more than it has.
pub(crate) fn unpacked(bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let stream: (&str, Box<dyn Read + '_>) = match Content::of(&bytes) {
        Content::Gzip => ("gzip stream", Box::new(MultiGzDecoder::new(bytes.as_slice()))),
        Content::Zlib => ("zlib stream", Box::new(ZlibDecoder::new(bytes.as_slice()))),
        _ => return Ok(bytes),
    };
    let (container, stream) = stream;
    let limit = (bytes.len() as u64).saturating_mul(MAX_EXPANSION).saturating_add(FREE_BYTES);
    let mut unpacked = Vec::new();
    let read = stream.take(limit + 1).read_to_end(&mut unpacked);
    read.map_err(|error| Fault::Damaged { container, detail: error.to_string() })?;
    match unpacked.len() as u64 {
        found if found > limit => {
            Err(Fault::Limit { what: "the size in bytes of what the file unpacks to", found, limit })
        }
        _ => Ok(unpacked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut stream = GzEncoder::new(Vec::new(), Compression::best());
        stream.write_all(bytes).unwrap();
        stream.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut stream = ZlibEncoder::new(Vec::new(), Compression::best());
        stream.write_all(bytes).unwrap();
        stream.finish().unwrap()
    }

    #[test]
    fn streams_are_unpacked_and_other_bytes_are_as_they_are() {
        for bytes in [gzip(b"within"), zlib(b"within"), b"within".to_vec()] {
            assert_eq!(unpacked(bytes).unwrap(), b"within");
        }
        let twice = [gzip(b"one"), gzip(b"two")].concat();
        assert_eq!(unpacked(twice).unwrap(), b"onetwo");
    }

    #[test]
    fn what_unpacks_to_much_more_is_refused() {
        for bomb in [gzip(&vec![0; 1 << 25]), zlib(&vec![0; 1 << 25])] {
            let limit = bomb.len() as u64 * MAX_EXPANSION + FREE_BYTES;
            let error = unpacked(bomb).unwrap_err();
            assert!(matches!(error, Fault::Limit { limit: found, .. } if found == limit), "{error}");
        }
    }

    #[test]
    fn a_stream_cut_short_is_damage() {
        for whole in [gzip(&[7; 999]), zlib(&[7; 999])] {
            let error = unpacked(whole[..whole.len() - 6].to_vec()).unwrap_err();
            assert!(matches!(error, Fault::Damaged { .. }), "{error}");
        }
    }
}
