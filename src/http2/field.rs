//! Which octets may stand in the name and value of a header field, for both directions.
//!
//! Source: RFC 9113, 8.2.1 and 8.2.2; the token characters RFC 9110, 5.6.2.
//!
//! ```text
//! name    1*( lower-case token character )      in pseudo-header fields after one ":"
//! value   no NUL, LF, CR anywhere; no SP, HTAB at either end
//! ```
//!
//! Received names are held to the same token characters as ours, which is a little stricter than
//! 8.2.1 demands ("MUST" covers controls, blanks, upper case, colon and non-ASCII).

/// Whether `name` is a regular field name.
#[inline]
pub fn is_name(name: &[u8]) -> bool {
    is_plain_name(name) || (!name.is_empty() && name.iter().all(|&octet| is_name_octet(octet)))
}

/// A quick yes for names of letters, digits and hyphens with at least eight octets, which most
/// are; `false` says nothing.
fn is_plain_name(name: &[u8]) -> bool {
    let (words, _) = name.as_chunks::<8>();
    // The last word overlaps the one before it, so that there is no remainder.
    name.last_chunk::<8>()
        .is_some_and(|&last| is_plain_word(last))
        && words.iter().all(|&word| is_plain_word(word))
}

fn is_plain_word(word: [u8; 8]) -> bool {
    let word = word_of(word);
    // Top bit of each octet: whether it is `from` or more, given that no octet has a top bit.
    let at_least = |from: u8| (word & !TOPS) + ONES * u64::from(0x80 - from);
    let within = |from: u8, to: u8| at_least(from) & !at_least(to + 1);
    let plain = within(b'a', b'z') | within(b'0', b'9') | within(b'-', b'-');
    plain & !word & TOPS == TOPS
}

/// Whether `value` may be sent as it is.
#[inline]
pub fn is_value(value: &[u8]) -> bool {
    let is_blank = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    // Nearly every value has no octet that low.
    let has_line_end = has_octet_outside(value, 0x0e, 0xff)
        && value
            .iter()
            .any(|octet| matches!(octet, 0x00 | 0x0a | 0x0d));
    !has_line_end && !is_blank(value.first()) && !is_blank(value.last())
}

/// Whether all of `text` is visible ASCII, without blanks.
pub fn is_visible(text: &[u8]) -> bool {
    !has_octet_outside(text, 0x21, 0x7e)
}

/// "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields"
/// (8.2.2). `te` is judged apart: a request may say `trailers`, a response nothing.
pub fn is_connection_specific(name: &[u8]) -> bool {
    matches!(
        name,
        b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade"
    )
}

/// Whether an octet is below `low` (at most 0x80) or above `high` (0x7e to 0x7f, or 0xff: none is).
///
/// Every request passes several hundred octets through here, so eight are looked at in one
/// word. Subtracting `low` from each octet borrows into its top bit if the octet is smaller (and
/// had no top bit); adding `0x7f - high` carries into it if the octet is larger. A borrow or carry
/// into the next octet needs an octet that is found itself, so the answer for the word is exact.
#[inline]
fn has_octet_outside(text: &[u8], low: u8, high: u8) -> bool {
    let top = if high == 0xff { 0 } else { TOPS };
    let step = ONES * u64::from(0x7f_u8.saturating_sub(high));
    let (words, rest) = text.as_chunks::<8>();
    let found = words.iter().fold(0, |found, &word| {
        let word = word_of(word);
        let below = word.wrapping_sub(ONES * u64::from(low)) & !word & TOPS;
        let above = (word.wrapping_add(step) | word) & top;
        found | below | above
    });
    found != 0 || rest.iter().any(|&octet| octet < low || octet > high)
}

/// Eight octets at once, in whatever order is quickest.
#[expect(
    clippy::host_endian_bytes,
    reason = "each octet is judged by itself, so their order does not matter"
)]
fn word_of(octets: [u8; 8]) -> u64 {
    u64::from_ne_bytes(octets)
}

fn is_name_octet(octet: u8) -> bool {
    NAME_OCTETS
        .get(usize::from(octet))
        .copied()
        .unwrap_or(false)
}

/// The lowest and the top bit of each octet in a word.
const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = ONES << 7;

static NAME_OCTETS: [bool; 256] = name_octets();

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where it fails to build"
)]
const fn name_octets() -> [bool; 256] {
    let allowed = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let mut table = [false; 256];
    let mut index = 0;
    while index < allowed.len() {
        table[allowed[index] as usize] = true;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_tokens() {
        for name in ["a", "apns-id", "x_y", "0"] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for name in [
            "", "A", "apns-Id", "a b", "a:", ":a", "a\0", "a\x7f", "ä", "a,b", "(a)",
        ] {
            assert!(!is_name(name.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn every_octet_at_every_place_of_a_name() {
        let allowed = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
        for octet in 0..=255_u8 {
            for len in [1, 7, 8, 9, 15, 16, 17] {
                for place in 0..len {
                    let mut name = vec![b'a'; len];
                    name[place] = octet;
                    assert_eq!(is_name(&name), allowed.contains(&octet), "{octet} {place}");
                }
            }
        }
    }

    #[test]
    fn every_octet_at_every_place() {
        for octet in 0..=255 {
            for place in 0..17 {
                let mut text = [b'x'; 17];
                text[place] = octet;
                assert_eq!(
                    is_visible(&text),
                    matches!(octet, 0x21..=0x7e),
                    "{octet} {place}"
                );
                let at_end = place == 0 || place == 16;
                let refused = matches!(octet, 0x00 | 0x0a | 0x0d)
                    || (at_end && matches!(octet, b' ' | b'\t'));
                assert_eq!(is_value(&text), !refused, "{octet} {place}");
                // Neighbours of all kinds do not hide or add anything.
                for other in [0x01, 0x20, 0x7f, 0x80, 0xff] {
                    let mut text = [other; 17];
                    text[place] = octet;
                    let expected = text.iter().all(|octet| matches!(octet, 0x21..=0x7e));
                    assert_eq!(is_visible(&text), expected, "{octet} {place} {other}");
                }
            }
        }
    }

    #[test]
    fn values_have_no_line_ends_and_no_blanks_around() {
        for value in ["", "a", "a b", "a\tb", "\u{e9}", "\x01"] {
            assert!(is_value(value.as_bytes()), "{value:?}");
        }
        for value in ["\0", "a\n", "a\r\nb", " a", "a ", "\ta", "a\t", " "] {
            assert!(!is_value(value.as_bytes()), "{value:?}");
        }
    }
}
