//! Compressing a body piece by piece, each flushed so that it can be read when it arrives.

use super::answer::Piece;
use super::fault::Coding;
use std::borrow::Cow;
use std::io::{self, Write};

/// The size of brotli's buffer and the exponent of its window.
const BROTLI_BUFFER_BYTES: usize = 4096;
const BROTLI_WINDOW: u32 = 20;
const BROTLI_QUALITY: u32 = 4;
const ZSTD_LEVEL: i32 = 1;

impl Coding {
    /// Its name in `content-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }

    /// The pieces compressed, and a last one with the compression's end.
    pub fn encode<'a>(
        self,
        pieces: impl Iterator<Item = &'a [u8]> + Send + 'a,
    ) -> impl Iterator<Item = Piece<'a>> + Send + 'a {
        let mut pieces = pieces;
        let mut encoder = Some(Encoder::new(self));
        std::iter::from_fn(move || {
            if let Some(piece) = pieces.next() {
                // Writing to memory cannot fail; should it, the body ends here.
                return encoder.as_mut()?.push(piece).ok().map(Cow::Owned);
            }
            encoder.take()?.finish().ok().map(Cow::Owned)
        })
    }
}

enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Deflate(flate2::write::ZlibEncoder<Vec<u8>>),
    Zstd(Option<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

impl Encoder {
    fn new(coding: Coding) -> Self {
        let level = flate2::Compression::fast();
        match coding {
            Coding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), level)),
            Coding::Deflate => Self::Deflate(flate2::write::ZlibEncoder::new(Vec::new(), level)),
            Coding::Brotli => {
                let (size, quality, window) = (BROTLI_BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW);
                Self::Brotli(Box::new(brotli::CompressorWriter::new(
                    Vec::new(),
                    size,
                    quality,
                    window,
                )))
            }
            Coding::Zstd => {
                Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).ok())
            }
        }
    }

    fn push(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(inner) => write(inner, piece).map(|()| std::mem::take(inner.get_mut())),
            Self::Deflate(inner) => write(inner, piece).map(|()| std::mem::take(inner.get_mut())),
            Self::Brotli(inner) => write(inner, piece).map(|()| std::mem::take(inner.get_mut())),
            Self::Zstd(Some(inner)) => {
                write(inner, piece).map(|()| std::mem::take(inner.get_mut()))
            }
            Self::Zstd(None) => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(inner) => inner.finish(),
            Self::Deflate(inner) => inner.finish(),
            Self::Brotli(inner) => Ok(inner.into_inner()),
            Self::Zstd(Some(inner)) => inner.finish(),
            Self::Zstd(None) => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }
}

fn write(encoder: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    encoder.write_all(piece)?;
    encoder.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const PIECES: [&[u8]; 3] = [b"data: one\n\n", b"data: two\n\n", b""];

    fn check(coding: Coding, decode: impl Fn(&[u8]) -> Vec<u8>) {
        let pieces: Vec<_> = coding.encode(PIECES.into_iter()).collect();
        assert_eq!(pieces.len(), 4);
        assert_eq!(decode(&pieces.concat()), PIECES.concat());
    }

    #[test]
    fn every_coding_reads_back_and_keeps_its_pieces() {
        fn all(mut reader: impl Read) -> Vec<u8> {
            let mut text = Vec::new();
            reader.read_to_end(&mut text).unwrap();
            text
        }
        check(Coding::Gzip, |bytes| {
            all(flate2::read::GzDecoder::new(bytes))
        });
        check(Coding::Deflate, |bytes| {
            all(flate2::read::ZlibDecoder::new(bytes))
        });
        check(Coding::Brotli, |bytes| {
            all(brotli::Decompressor::new(bytes, 4096))
        });
        check(Coding::Zstd, |bytes| {
            all(zstd::stream::read::Decoder::new(bytes).unwrap())
        });
    }

    #[test]
    fn a_flushed_piece_can_be_read_before_the_next_comes() {
        let first = Coding::Gzip.encode(PIECES.into_iter()).next().unwrap();
        let mut text = [0; 11];
        flate2::read::GzDecoder::new(&first[..])
            .read_exact(&mut text)
            .unwrap();
        assert_eq!(&text, PIECES[0]);
    }
}
