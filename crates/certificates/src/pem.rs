//! Text of a PEM file turned into its blocks.
//!
//! Source: RFC 7468, and RFC 1421 4.6.1 for the encrypted form of old OpenSSL keys.
//!
//! ```text
//! Bag Attributes …                                 between blocks: anything, dropped
//! -----BEGIN CERTIFICATE-----                      label
//! Proc-Type: 4,ENCRYPTED                           headers: noticed, not read
//! MIIF…                                            base64, line breaks anywhere
//! -----END CERTIFICATE-----
//! ```
//!
//! What is between blocks need not be UTF-8: `openssl pkcs12` writes names there as they come.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::limits::CERTIFICATES_MAX;
use crate::read_error::{Cause, ReadError};

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

/// One block: `-----BEGIN <label>-----` and what is in it.
pub(crate) struct Block {
    pub(crate) label: String,
    /// Encrypted as OpenSSL did before PKCS #8.
    pub(crate) encrypted: bool,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// Whether there is a block at all.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    find(bytes, BEGIN).is_some()
}

/// The labels of all blocks, whether or not they can be decoded.
pub(crate) fn labels(bytes: &[u8]) -> Vec<String> {
    let mut labels = Vec::new();
    let mut rest = bytes;
    while let Some((_, after)) = split(rest, BEGIN) {
        let Some((label, after)) = split(after, DASHES) else {
            break;
        };
        labels.push(label_text(label));
        rest = after;
        if labels.len() > CERTIFICATES_MAX {
            break;
        }
    }
    labels
}

/// All blocks in the order of the file. At most one private key and [`CERTIFICATES_MAX`]
/// certificates are of use, so more than that many blocks are an error.
pub(crate) fn blocks(bytes: &[u8]) -> Result<Vec<Block>, ReadError> {
    let damaged = || ReadError::damaged("PEM blocks, each with an END line and base64 in between");
    let mut blocks = Vec::new();
    let mut rest = bytes;
    while let Some((_, after)) = split(rest, BEGIN) {
        if blocks.len() > CERTIFICATES_MAX {
            return Err(too_many());
        }
        let (label, after) = split(after, DASHES).ok_or_else(damaged)?;
        let end = [b"-----END ", label, DASHES].concat();
        let (body, after) = split(after, &end).ok_or_else(damaged)?;
        let encrypted = find(body, b"Proc-Type:").is_some();
        let der = if encrypted {
            Zeroizing::default()
        } else {
            decode(body).ok_or_else(damaged)?
        };
        blocks.push(Block {
            label: label_text(label),
            encrypted,
            der,
        });
        rest = after;
    }
    Ok(blocks)
}

/// Decodes base64 whatever its line breaks are.
pub(crate) fn decode(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(
        body.iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    STANDARD.decode(&*digits).ok().map(Zeroizing::new)
}

fn label_text(label: &[u8]) -> String {
    let short = label.get(..40).unwrap_or(label);
    short.escape_ascii().to_string()
}

fn too_many() -> ReadError {
    ReadError::new(
        Cause::TooLarge,
        "a PEM file with a certificate, its key and the certificates above it",
        format!("one with more than {CERTIFICATES_MAX} blocks"),
        "Keep the certificate, its key and the certificates above it, and take out the rest.",
    )
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// What is before and after the first place where `wanted` stands.
fn split<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(bytes, wanted)?;
    Some((bytes.get(..at)?, bytes.get(at + wanted.len()..)?))
}
