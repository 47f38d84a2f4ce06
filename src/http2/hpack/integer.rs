//! Integers with an n-bit prefix, both ways.
//!
//! Source: RFC 7541, 5.1.
//!
//! ```text
//! value < 2^n - 1     | pattern | value |
//! otherwise           | pattern | 1...1 |  then value - (2^n - 1), seven bits an octet,
//!                                          least significant first, top bit = more follow
//! ```
//!
//! Limit: values of 32 bits in at most five octets after the prefix. Larger ones, or the same
//! ones padded with zero octets, are an error.

use super::HpackError;

/// Bits that may be shifted in before the value cannot fit 32 bits any more.
const MAX_SHIFT: u32 = 28;

/// Reads an integer whose first octet has `prefix` value bits (1 to 8). Returns what follows it.
pub fn decode(input: &[u8], prefix: u32) -> Result<(u32, &[u8]), HpackError> {
    let (&first, mut rest) = input.split_first().ok_or(HpackError::Truncated)?;
    let mask = prefix_mask(prefix);
    let mut value = u64::from(first) & mask;
    if value < mask {
        return Ok((value as u32, rest));
    }
    let mut shift = 0;
    loop {
        let (&octet, tail) = rest.split_first().ok_or(HpackError::Truncated)?;
        rest = tail;
        if shift > MAX_SHIFT {
            return Err(HpackError::IntegerOverflow);
        }
        value += u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| HpackError::IntegerOverflow)?;
            return Ok((value, rest));
        }
        shift += 7;
    }
}

/// Appends `value` with a prefix of `prefix` bits (1 to 8) under the bits of `pattern`.
#[inline]
pub fn encode(out: &mut Vec<u8>, pattern: u8, prefix: u32, value: usize) {
    let mask = prefix_mask(prefix) as usize;
    if value < mask {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | mask as u8);
    let mut left = value - mask;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

const fn prefix_mask(prefix: u32) -> u64 {
    (1 << prefix) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(prefix: u32, value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, 0, prefix, value);
        out
    }

    #[test]
    fn rfc_7541_c_1() {
        assert_eq!(encoded(5, 10), [0x0a]);
        assert_eq!(encoded(5, 1337), [0x1f, 0x9a, 0x0a]);
        assert_eq!(encoded(8, 42), [0x2a]);
        assert_eq!(decode(&[0xea], 5), Ok((10, &[][..])));
        assert_eq!(
            decode(&[0xff, 0x9a, 0x0a, 0x77], 5),
            Ok((1337, &[0x77][..]))
        );
        assert_eq!(decode(&[0x2a], 8), Ok((42, &[][..])));
    }

    #[test]
    fn round_trip_around_every_edge() {
        for prefix in 1..=8 {
            for base in [
                0,
                1,
                30,
                31,
                126,
                127,
                128,
                254,
                255,
                382,
                16_383,
                1 << 20,
                u32::MAX,
            ] {
                let bytes = encoded(prefix, base as usize);
                assert_eq!(
                    decode(&bytes, prefix),
                    Ok((base, &[][..])),
                    "{prefix} {base}"
                );
                for len in 0..bytes.len() {
                    assert_eq!(decode(&bytes[..len], prefix), Err(HpackError::Truncated));
                }
            }
        }
    }

    #[test]
    fn overflow_is_refused() {
        let error = Err(HpackError::IntegerOverflow);
        assert_eq!(decode(&[0x1f, 0xff, 0xff, 0xff, 0xff, 0x0f], 5), error);
        assert_eq!(
            decode(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 5),
            error
        );
        assert_eq!(
            decode(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0x00], 5),
            Ok((31, &[][..]))
        );
        assert_eq!(decode(&[0xff; 64], 7), error);
    }
}
