//! Hexadecimal digits and what they are worth, by tables: each push has a hundred of them to be
//! read and as many to be written.

/// The two lower-case digits of a byte.
#[inline]
pub(super) fn of_byte(byte: u8) -> [u8; 2] {
    // There is one for each byte.
    DIGITS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The byte of two digits, of either case each; `None` if one of them is none.
#[inline]
pub(super) fn to_byte([high, low]: [u8; 2]) -> Option<u8> {
    let (high, low) = (value(high), value(low));
    let is_valid = (high | low) & NONE == 0;
    is_valid.then_some((high << 4) | low)
}

/// Reads as many bytes as there are pairs of digits, into places of that number. Whether all of
/// them were digits.
#[inline]
pub(super) fn read(pairs: &[[u8; 2]], bytes: &mut [u8]) -> bool {
    let mut seen = 0;
    for (place, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (value(*high), value(*low));
        // Looked at once they are all read, so that nothing stops half way.
        seen |= high | low;
        *place = (high << 4) | (low & 0x0f);
    }
    seen & NONE == 0
}

#[inline]
fn value(digit: u8) -> u8 {
    VALUES.get(usize::from(digit)).copied().unwrap_or(NONE)
}

/// No digit is worth that, and none has a bit of it.
const NONE: u8 = 0xf0;

static DIGITS: [[u8; 2]; 256] = digits();
static VALUES: [u8; 256] = values();

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where it fails to build"
)]
const fn digits() -> [[u8; 2]; 256] {
    let text = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = [text[byte >> 4], text[byte & 0x0f]];
        byte += 1;
    }
    table
}

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where it fails to build"
)]
const fn values() -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut digit = 0;
    while digit < 10 {
        table[b'0' as usize + digit] = digit as u8;
        digit += 1;
    }
    while digit < 16 {
        table[b'a' as usize + digit - 10] = digit as u8;
        table[b'A' as usize + digit - 10] = digit as u8;
        digit += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_digits() {
        for byte in 0..=255 {
            let text = format!("{byte:02x}");
            assert_eq!(of_byte(byte), text.as_bytes());
            assert_eq!(to_byte(of_byte(byte)), Some(byte));
        }
    }

    #[test]
    fn every_octet_is_worth_what_it_is() {
        for octet in 0..=255_u8 {
            let worth = char::from(octet).to_digit(16);
            let worth = worth.map(|worth| u8::try_from(worth).unwrap());
            assert_eq!(to_byte([b'0', octet]), worth, "{octet}");
            assert_eq!(to_byte([octet, b'0']), worth.map(|worth| worth << 4));
            let mut bytes = [0; 2];
            assert_eq!(read(&[*b"Ff", [octet, b'1']], &mut bytes), worth.is_some());
        }
    }
}
