//! Content encodings, to pack a body in.

use std::io::Read;

/// How a body is packed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Packing {
    pub fn pack(self, body: &[u8]) -> Vec<u8> {
        let fast = flate2::Compression::fast();
        let mut packed = Vec::new();
        match self {
            Self::Plain => packed.extend_from_slice(body),
            Self::Gzip => fill(&mut packed, flate2::read::GzEncoder::new(body, fast)),
            Self::Deflate => fill(&mut packed, flate2::read::ZlibEncoder::new(body, fast)),
            Self::Brotli => fill(
                &mut packed,
                brotli::CompressorReader::new(body, 4096, 1, 18),
            ),
            Self::Zstd => packed = zstd::encode_all(body, 1).unwrap(),
        }
        packed
    }

    /// Its name in `content-encoding`; empty where nothing is packed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

fn fill(packed: &mut Vec<u8>, mut encoder: impl Read) {
    encoder.read_to_end(packed).unwrap();
}
