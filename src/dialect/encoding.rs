//! Undoes an answer's content encoding on the side, piece by piece, for the reader alone.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Buffer of the brotli decoder, in bytes.
const BROTLI_BUFFER_LEN: usize = 4096;
/// The window that RFC 9659 allows in HTTP: 2^23 bytes.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Decodes into `W` as it is written to.
pub(super) enum Decoder<W: Write + 'static> {
    Identity(W),
    Gzip(Box<MultiGzDecoder<W>>),
    /// `deflate` is zlib by the book and bare in practice: the first byte tells, and `None` while it moves.
    Deflate(Option<W>),
    Zlib(Box<ZlibDecoder<W>>),
    Bare(Box<DeflateDecoder<W>>),
    Brotli(Box<brotli::DecompressorWriter<W>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, W>>),
}

impl<W: Write + 'static> Decoder<W> {
    /// A decoder for the value of `content-encoding`; nothing if it names what we cannot decode.
    pub fn new(encoding: &str, inner: W) -> Option<Self> {
        let encoding = encoding.trim();
        if encoding.is_empty() {
            return Some(Self::Identity(inner));
        }
        Some(match encoding.to_ascii_lowercase().as_str() {
            "identity" => Self::Identity(inner),
            "gzip" | "x-gzip" => Self::Gzip(Box::new(MultiGzDecoder::new(inner))),
            "deflate" => Self::Deflate(Some(inner)),
            "br" => Self::Brotli(Box::new(brotli::DecompressorWriter::new(
                inner,
                BROTLI_BUFFER_LEN,
            ))),
            "zstd" => {
                let mut decoder = zstd::stream::write::Decoder::new(inner).ok()?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).ok()?;
                Self::Zstd(Box::new(decoder))
            }
            _ => return None,
        })
    }

    /// Decodes a chunk, and all of it that can be: the reader wants the first token when it comes.
    /// Fails on a corrupt text, or if the inner writer has had enough.
    pub fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if let Self::Deflate(inner) = self
            && let Some(first) = chunk.first()
            && let Some(inner) = inner.take()
        {
            *self = if is_zlib(*first) {
                Self::Zlib(Box::new(ZlibDecoder::new(inner)))
            } else {
                Self::Bare(Box::new(DeflateDecoder::new(inner)))
            };
        }
        match self {
            Self::Identity(inner) => inner.write_all(chunk),
            Self::Gzip(decoder) => write_and_flush(decoder, chunk),
            Self::Deflate(_) => Ok(()),
            Self::Zlib(decoder) => write_and_flush(decoder, chunk),
            Self::Bare(decoder) => write_and_flush(decoder, chunk),
            Self::Brotli(decoder) => decoder.write_all(chunk),
            Self::Zstd(decoder) => write_and_flush(decoder, chunk),
        }
    }

    pub fn inner(&self) -> Option<&W> {
        match self {
            Self::Identity(inner) => Some(inner),
            Self::Gzip(decoder) => Some(decoder.get_ref()),
            Self::Deflate(inner) => inner.as_ref(),
            Self::Zlib(decoder) => Some(decoder.get_ref()),
            Self::Bare(decoder) => Some(decoder.get_ref()),
            Self::Brotli(decoder) => Some(decoder.get_ref()),
            Self::Zstd(decoder) => Some(decoder.get_ref()),
        }
    }

    pub fn inner_mut(&mut self) -> Option<&mut W> {
        match self {
            Self::Identity(inner) => Some(inner),
            Self::Gzip(decoder) => Some(decoder.get_mut()),
            Self::Deflate(inner) => inner.as_mut(),
            Self::Zlib(decoder) => Some(decoder.get_mut()),
            Self::Bare(decoder) => Some(decoder.get_mut()),
            Self::Brotli(decoder) => Some(decoder.get_mut()),
            Self::Zstd(decoder) => Some(decoder.get_mut()),
        }
    }
}

fn write_and_flush(decoder: &mut impl Write, chunk: &[u8]) -> io::Result<()> {
    decoder.write_all(chunk)?;
    decoder.flush()
}

/// Method 8 and a window of at most 32 KiB, as RFC 1950 spells them.
fn is_zlib(first: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::Compression;
    use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn encode(encoding: &str, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match encoding {
            "gzip" => GzEncoder::new(text, Compression::fast())
                .read_to_end(&mut out)
                .unwrap(),
            "deflate" => ZlibEncoder::new(text, Compression::fast())
                .read_to_end(&mut out)
                .unwrap(),
            "bare" => DeflateEncoder::new(text, Compression::fast())
                .read_to_end(&mut out)
                .unwrap(),
            "br" => brotli::CompressorReader::new(text, 4096, 4, 20)
                .read_to_end(&mut out)
                .unwrap(),
            _ => {
                out = zstd::encode_all(text, 3).unwrap();
                out.len()
            }
        };
        out
    }

    #[test]
    fn every_encoding_is_undone_byte_by_byte() {
        let text = b"{\"usage\": {\"total_tokens\": 7}} ".repeat(2000);
        for encoding in ["gzip", "deflate", "bare", "br", "zstd"] {
            let name = if encoding == "bare" {
                "deflate"
            } else {
                encoding
            };
            let mut decoder = Decoder::new(name, Vec::new()).unwrap();
            for byte in encode(encoding, &text).chunks(1) {
                decoder.write(byte).unwrap();
            }
            assert_eq!(decoder.inner(), Some(&text), "{encoding}");
        }
    }

    #[test]
    fn noise_is_an_error_and_an_unknown_encoding_is_none() {
        for encoding in ["gzip", "deflate", "br", "zstd"] {
            let mut decoder = Decoder::new(encoding, Vec::new()).unwrap();
            let noise = (0..5000_u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect::<Vec<_>>();
            assert!(decoder.write(&noise).is_err(), "{encoding}");
        }
        assert!(Decoder::new("gzip, br", Vec::new()).is_none());
    }
}
