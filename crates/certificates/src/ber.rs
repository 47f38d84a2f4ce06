//! BER turned into DER, as far as the two differ in files with certificates and keys.
//!
//! Source: X.690, 8 (BER) and 10 (what DER forbids of it). OpenSSL writes PKCS #12 in pieces when
//! it streams, and Bouncy Castle and Java's older key stores write it so by default:
//!
//! | BER | DER |
//! |---|---|
//! | length `80`, then values up to `00 00` | the length |
//! | a length in more bytes than it needs | in as few as can be |
//! | an OCTET STRING in pieces: `24 … 04 … 04 …` | in one: `04 …` |
//!
//! What is inside an OCTET STRING is bytes to this; the reader that finds ASN.1 there calls again.
//! A string under an implicit tag cannot be told from a SEQUENCE without knowing the structure, so
//! its pieces stay, and [`joined`] puts them together.
//!
//! Limits: values nested [`DEPTH_MAX`] deep, as many bytes as the file has.

use zeroize::Zeroizing;

/// How deep values may be nested. A PKCS #12 file takes about ten levels.
const DEPTH_MAX: usize = 32;

/// The bit of a tag that says that the value consists of values.
const CONSTRUCTED: u8 = 0x20;

/// The bits of a tag that are all set if its number is in the bytes after it.
const LONG_TAG: u8 = 0x1f;

const OCTET_STRING: u8 = 0x04;

/// The length that says that the value ends with [`END`].
const INDEFINITE: u8 = 0x80;

const END: &[u8] = &[0, 0];

/// One value, with nothing after it, as DER; what is DER comes back as it is. `None` if it is cut
/// off, is nested too deep, or was never BER.
pub(crate) fn to_der(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut der = Zeroizing::new(Vec::with_capacity(value.len()));
    let rest = copy(value, &mut der, 0)?;
    rest.is_empty().then_some(der)
}

/// The bytes of a string that came in pieces, from the DER of the pieces.
pub(crate) fn joined(pieces: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(pieces.len()));
    let mut rest = pieces;
    while !rest.is_empty() {
        let (head, after) = BerHead::read(rest)?;
        let length = head.length.filter(|_| head.tag == OCTET_STRING)?;
        let (piece, after) = after.split_at_checked(length)?;
        bytes.extend_from_slice(piece);
        rest = after;
    }
    Some(bytes)
}

/// Tag and length.
struct BerHead {
    tag: u8,
    /// `None` if the end is marked instead.
    length: Option<usize>,
}

impl BerHead {
    /// What is read, and what comes after it.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        if tag & LONG_TAG == LONG_TAG {
            return None;
        }
        if first < INDEFINITE {
            let length = Some(usize::from(first));
            return Some((Self { tag, length }, rest));
        }
        if first == INDEFINITE {
            let head = Self { tag, length: None };
            return (tag & CONSTRUCTED != 0).then_some((head, rest));
        }
        let (digits, rest) = rest.split_at_checked(usize::from(first & !INDEFINITE))?;
        let length = digits.iter().try_fold(0_usize, |length, digit| {
            length.checked_mul(256)?.checked_add(usize::from(*digit))
        });
        let length = Some(length?);
        Some((Self { tag, length }, rest))
    }
}

/// Appends the first value as DER; what comes after it is the answer.
fn copy<'a>(bytes: &'a [u8], der: &mut Vec<u8>, depth: usize) -> Option<&'a [u8]> {
    let (head, rest) = BerHead::read(bytes)?;
    if head.tag & CONSTRUCTED == 0 {
        let (value, rest) = rest.split_at_checked(head.length?)?;
        put(head.tag, value, der);
        return Some(rest);
    }
    if depth == DEPTH_MAX {
        return None;
    }
    let mut inner = Zeroizing::new(Vec::new());
    let rest = match head.length {
        Some(length) => {
            let (mut values, rest) = rest.split_at_checked(length)?;
            while !values.is_empty() {
                values = copy(values, &mut inner, depth + 1)?;
            }
            rest
        }
        None => {
            let mut values = rest;
            loop {
                match values.strip_prefix(END) {
                    Some(rest) => break rest,
                    None => values = copy(values, &mut inner, depth + 1)?,
                }
            }
        }
    };
    if head.tag == OCTET_STRING | CONSTRUCTED {
        put(OCTET_STRING, &joined(&inner)?, der);
    } else {
        put(head.tag, &inner, der);
    }
    Some(rest)
}

/// Appends a value with the shortest length that says it.
fn put(tag: u8, value: &[u8], der: &mut Vec<u8>) {
    der.push(tag);
    let length = value.len().to_be_bytes();
    let zeros = length.iter().take_while(|digit| **digit == 0).count();
    let digits = length.get(zeros..).unwrap_or_default();
    match digits {
        [] => der.push(0),
        [short] if *short < INDEFINITE => der.push(*short),
        // A length has eight digits at most.
        _ => {
            der.push(INDEFINITE | digits.len() as u8);
            der.extend_from_slice(digits);
        }
    }
    der.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(ber: &str) -> Option<String> {
        to_der(&hex::decode(ber.replace(' ', "")).unwrap()).map(hex::encode)
    }

    #[test]
    fn every_form_of_a_length_becomes_the_shortest() {
        let rows = [
            ("30 00", "3000"),
            ("30 80 00 00", "3000"),
            ("30 81 03 02 01 05", "3003020105"),
            ("30 84 00 00 00 05 02 82 00 01 05", "3003020105"),
            (
                "30 80 02 01 05 30 80 05 00 00 00 00 00",
                "3007020105 30020500",
            ),
        ];
        for (ber, expected) in rows {
            assert_eq!(der(ber), Some(expected.replace(' ', "")), "{ber}");
        }
        let long = format!("04820100{}", "5a".repeat(256));
        assert_eq!(der(&long), Some(long.clone()));
        let longer_than_needed = format!("0483000080{}", "5a".repeat(128));
        let expected = format!("048180{}", "5a".repeat(128));
        assert_eq!(der(&longer_than_needed), Some(expected));
    }

    #[test]
    fn strings_in_pieces_become_one() {
        assert_eq!(
            der("24 80 04 01 aa 04 02 bb cc 00 00").unwrap(),
            "0403aabbcc"
        );
        assert_eq!(der("24 08 24 80 04 01 aa 00 00 04 00"), None, "too short");
        assert_eq!(der("24 09 24 80 04 01 aa 00 00 04 00").unwrap(), "0401aa");
        assert_eq!(der("24 03 02 01 05"), None, "a piece that is no string");
        let under_a_tag = der("a0 80 04 01 aa 24 80 04 01 bb 00 00 00 00").unwrap();
        assert_eq!(under_a_tag, "a0060401aa0401bb");
        let pieces = hex::decode("0401aa0401bb").unwrap();
        assert_eq!(joined(&pieces).unwrap().as_slice(), b"\xaa\xbb");
        assert_eq!(joined(b"\x02\x01\x05"), None);
    }

    #[test]
    fn what_is_cut_off_too_deep_or_followed_by_something_is_refused() {
        let whole = hex::decode("3080240804010104030203040000").unwrap();
        assert!(to_der(&whole).is_some());
        for cut in 0..whole.len() {
            assert_eq!(to_der(&whole[..cut]), None, "{cut}");
        }
        for wrong in [
            "3000 00",
            "04 80 00 00",
            "1f 01 00",
            "30 ff",
            "30 88 ff ff ff ff ff ff ff ff",
        ] {
            assert_eq!(der(wrong), None, "{wrong}");
        }
        let nested = |depth: usize| format!("{}{}", "3080".repeat(depth), "0000".repeat(depth));
        assert!(der(&nested(DEPTH_MAX)).is_some());
        assert_eq!(der(&nested(DEPTH_MAX + 1)), None);
        assert_eq!(der(&"3080".repeat(100_000)), None);
    }
}
