//! Content codings: which one a client gets, and writing it. Every answer of a
//! format that compresses is written in the coding negotiated, whatever its
//! size, so that its validator is known before it runs.

use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, header};
use springtide_protocol::Format;
use springtide_protocol::etag::Coding;

/// Brotli's level: text three times as fast to write as at level 6, a few percent larger.
const BROTLI_QUALITY: i32 = 4;
const BROTLI_WINDOW_BITS: i32 = 20;
const BROTLI_BUFFER_BYTES: usize = 32 * 1024;
const GZIP_LEVEL: u32 = 4;

/// The coding of an answer.
pub(crate) fn negotiate(headers: &HeaderMap, format: Format) -> Coding {
    // Parquet is compressed within.
    if format == Format::Parquet {
        return Coding::Identity;
    }
    let (mut brotli, mut gzip, mut any, mut identity) = (None, None, None, 1.0_f32);
    for line in headers.get_all(header::ACCEPT_ENCODING) {
        for item in line.to_str().unwrap_or("").split(',') {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or("").to_ascii_lowercase();
            let quality = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
            let quality = quality.map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
            match name.as_str() {
                "br" => brotli = Some(quality),
                "gzip" | "x-gzip" => gzip = Some(quality),
                "*" => any = Some(quality),
                "identity" => identity = quality,
                _ => {}
            }
        }
    }
    let quality = |named: Option<f32>| named.or(any).unwrap_or(0.0);
    let (brotli, gzip) = (quality(brotli), quality(gzip));
    let identity_preferred = |other: f32| identity < 1.0 && identity > other;
    if brotli > 0.0 && brotli >= gzip && !identity_preferred(brotli) {
        Coding::Brotli
    } else if gzip > 0.0 && !identity_preferred(gzip) {
        Coding::Gzip
    } else {
        Coding::Identity
    }
}

/// Writes bytes in a coding.
pub(crate) enum Encoder<W: Write> {
    /// As they are.
    Identity(W),
    /// `gzip`, without a time in its header, so that equal answers have equal bytes.
    Gzip(Box<GzEncoder<W>>),
    /// `br`.
    Brotli(Box<CompressorWriter<W>>),
}

impl<W: Write> Encoder<W> {
    /// An encoder that writes to `to`.
    pub(crate) fn new(coding: Coding, to: W) -> Self {
        match coding {
            Coding::Identity => Self::Identity(to),
            Coding::Gzip => Self::Gzip(Box::new(GzEncoder::new(to, Compression::new(GZIP_LEVEL)))),
            Coding::Brotli => {
                let params = BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW_BITS,
                    ..BrotliEncoderParams::default()
                };
                let writer = CompressorWriter::with_params(to, BROTLI_BUFFER_BYTES, &params);
                Self::Brotli(Box::new(writer))
            }
        }
    }

    /// Writes some bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Identity(to) => to.write_all(bytes),
            Self::Gzip(to) => to.write_all(bytes),
            Self::Brotli(to) => to.write_all(bytes),
        }
    }

    /// Ends the coding and gives back what was written to.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Identity(to) => Ok(to),
            Self::Gzip(to) => to.finish(),
            Self::Brotli(to) => Ok(to.into_inner()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Read;

    fn negotiated(accept: &str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
        negotiate(&headers, Format::Json)
    }

    #[test]
    fn the_client_decides_and_brotli_breaks_ties() {
        assert_eq!(negotiate(&HeaderMap::new(), Format::Json), Coding::Identity);
        assert_eq!(negotiated("gzip, deflate, br"), Coding::Brotli);
        assert_eq!(negotiated("gzip;q=1.0, br;q=0.5"), Coding::Gzip);
        assert_eq!(negotiated("br;q=0, gzip"), Coding::Gzip);
        assert_eq!(negotiated("*"), Coding::Brotli);
        assert_eq!(negotiated("br;q=0, *;q=0.1"), Coding::Gzip);
        assert_eq!(negotiated("deflate"), Coding::Identity);
        assert_eq!(negotiated("identity"), Coding::Identity);
        assert_eq!(negotiated("identity;q=0.9, gzip;q=0.1"), Coding::Identity);
        assert_eq!(negotiated("br;q=wrong"), Coding::Identity);
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, "br".parse().unwrap());
        assert_eq!(negotiate(&headers, Format::Parquet), Coding::Identity);
    }

    #[test]
    fn what_is_encoded_decodes_and_is_the_same_each_time() {
        let text = "flights ".repeat(10_000);
        let encode = |coding| {
            let mut encoder = Encoder::new(coding, Vec::new());
            text.as_bytes().chunks(777).for_each(|part| encoder.write(part).unwrap());
            encoder.finish().unwrap()
        };
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Identity] {
            assert_eq!(encode(coding), encode(coding));
        }
        let mut decoded = String::new();
        flate2::read::GzDecoder::new(&*encode(Coding::Gzip)).read_to_string(&mut decoded).unwrap();
        assert_eq!(decoded, text);
        let encoded = encode(Coding::Brotli);
        assert!(encoded.len() < 1000);
        let mut decoded = Vec::new();
        brotli::Decompressor::new(&*encoded, 4096).read_to_end(&mut decoded).unwrap();
        assert_eq!(decoded, text.as_bytes());
    }
}
