//! The Huffman code of HPACK strings, both ways.
//!
//! Source: RFC 7541, 5.2 and appendix B.
//!
//! The code is canonical: sorted by length, then by symbol, the code words count upwards, and a
//! word one bit longer continues at twice the value. So the 257 lengths below are the whole code,
//! and the tables are computed from them when this is compiled:
//!
//! ```text
//! octet -> (word, length)                           CODES, for encoding
//! next 9 bits -> (symbol, length), if length <= 9   SHORT, nearly every octet of a header
//! next 30 bits -> symbol, by comparing with the     LONG, one row for each length
//!                 first word of each length
//! ```
//!
//! A string ends with up to seven one bits of padding, which are the beginning of the
//! end-of-string symbol; eight or more, other bits, or the whole symbol are errors. The decoder
//! reads eight octets ahead at most and writes no more than 8/5 of what it reads.
#![expect(
    clippy::indexing_slicing,
    reason = "only in functions that run at compile time, where it fails to build"
)]

use super::HpackError;

/// Code length of each octet, then of the end-of-string symbol.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const EOS: u16 = 256;
const MAX_LENGTH: usize = 30;
const SHORT_BITS: usize = 9;

#[derive(Clone, Copy)]
struct Code {
    word: u32,
    length: u8,
}

#[derive(Clone, Copy)]
struct Hit {
    symbol: u16,
    /// 0: the code is longer than [`SHORT_BITS`].
    length: u8,
}

/// All code words of one length.
#[derive(Clone, Copy)]
struct Row {
    length: u8,
    first_word: u32,
    count: u32,
    /// Where the symbols begin in [`SORTED`].
    first_symbol: u16,
}

static CODES: [Code; 257] = codes();
static SORTED: [u16; 257] = sorted();
static SHORT: [Hit; 1 << SHORT_BITS] = short();
static LONG: [Row; MAX_LENGTH - SHORT_BITS] = long();

/// How many octets `input` takes when encoded.
pub fn encoded_len(input: &[u8]) -> usize {
    let bits: usize = input
        .iter()
        .map(|&octet| usize::from(code(octet).length))
        .sum();
    bits.div_ceil(8)
}

/// Appends the code of `input`, padded.
pub fn encode(input: &[u8], out: &mut Vec<u8>) {
    let mut bits: u64 = 0;
    let mut count: u32 = 0;
    for &octet in input {
        let code = code(octet);
        bits = (bits << code.length) | u64::from(code.word);
        count += u32::from(code.length);
        // At most 31 bits stay, so the next word (30 bits at most) always fits 64.
        if count >= 32 {
            count -= 32;
            out.extend_from_slice(&((bits >> count) as u32).to_be_bytes());
        }
    }
    while count >= 8 {
        count -= 8;
        out.push((bits >> count) as u8);
    }
    if count > 0 {
        out.push((bits << (8 - count)) as u8 | (0xff >> count));
    }
}

/// Appends what `input` stands for. On error `out` may have grown.
pub fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), HpackError> {
    let mut ahead = input.iter();
    // The next bits, left-aligned; below the first `count` there are zeros.
    let mut bits: u64 = 0;
    let mut count: u32 = 0;
    loop {
        while count <= 56 {
            let Some(&octet) = ahead.next() else { break };
            bits |= u64::from(octet) << (56 - count);
            count += 8;
        }
        let hit = look_up(bits);
        if u32::from(hit.length) > count {
            return check_padding(bits, count);
        }
        if hit.symbol == EOS {
            return Err(HpackError::HuffmanEos);
        }
        out.push(hit.symbol as u8);
        bits <<= hit.length;
        count -= u32::from(hit.length);
    }
}

fn look_up(bits: u64) -> Hit {
    let short = SHORT.get((bits >> (64 - SHORT_BITS)) as usize);
    match short {
        Some(&hit) if hit.length != 0 => hit,
        _ => look_up_long(bits),
    }
}

#[cold]
fn look_up_long(bits: u64) -> Hit {
    for row in &LONG {
        let offset = ((bits >> (64 - row.length)) as u32).wrapping_sub(row.first_word);
        if offset < row.count {
            let index = usize::from(row.first_symbol) + offset as usize;
            let symbol = SORTED.get(index).copied().unwrap_or(EOS);
            return Hit {
                symbol,
                length: row.length,
            };
        }
    }
    // The code is complete: every 30 bits begin with a word. A test counts them.
    Hit {
        symbol: EOS,
        length: MAX_LENGTH as u8,
    }
}

/// The last `count` bits, which are no whole word, have to be fewer than eight, all ones.
fn check_padding(bits: u64, count: u32) -> Result<(), HpackError> {
    if count < 8 && bits.leading_ones() >= count {
        Ok(())
    } else {
        Err(HpackError::HuffmanPadding)
    }
}

fn code(octet: u8) -> Code {
    // CODES is longer than any octet's value.
    CODES
        .get(usize::from(octet))
        .copied()
        .unwrap_or(Code { word: 0, length: 0 })
}

const fn sorted() -> [u16; 257] {
    let mut table = [0; 257];
    let (mut place, mut length) = (0, 1);
    while length <= MAX_LENGTH {
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                table[place] = symbol as u16;
                place += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    table
}

const fn codes() -> [Code; 257] {
    let sorted = sorted();
    let mut table = [Code { word: 0, length: 0 }; 257];
    let (mut word, mut place, mut length) = (0, 0, LENGTHS[sorted[0] as usize]);
    while place < 257 {
        let symbol = sorted[place] as usize;
        word <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        table[symbol] = Code { word, length };
        word += 1;
        place += 1;
    }
    table
}

const fn short() -> [Hit; 1 << SHORT_BITS] {
    let codes = codes();
    let mut table = [Hit {
        symbol: EOS,
        length: 0,
    }; 1 << SHORT_BITS];
    let mut symbol = 0;
    while symbol < 256 {
        let Code { word, length } = codes[symbol];
        if length as usize <= SHORT_BITS {
            let free = SHORT_BITS - length as usize;
            let (mut place, end) = ((word as usize) << free, (word as usize + 1) << free);
            while place < end {
                table[place] = Hit {
                    symbol: symbol as u16,
                    length,
                };
                place += 1;
            }
        }
        symbol += 1;
    }
    table
}

const fn long() -> [Row; MAX_LENGTH - SHORT_BITS] {
    let (codes, sorted) = (codes(), sorted());
    let mut table = [Row {
        length: 0,
        first_word: 0,
        count: 0,
        first_symbol: 0,
    }; 21];
    let mut place = 0;
    while place < 257 {
        let Code { word, length } = codes[sorted[place] as usize];
        if length as usize > SHORT_BITS {
            let row = &mut table[length as usize - SHORT_BITS - 1];
            if row.count == 0 {
                row.first_word = word;
                row.first_symbol = place as u16;
            }
            row.count += 1;
        }
        place += 1;
    }
    let mut row = 0;
    while row < table.len() {
        table[row].length = (row + SHORT_BITS + 1) as u8;
        row += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &[u8]) -> Result<Vec<u8>, HpackError> {
        let mut out = Vec::new();
        decode(input, &mut out).map(|()| out)
    }

    fn encoded(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(input, &mut out);
        assert_eq!(out.len(), encoded_len(input));
        out
    }

    #[test]
    fn the_code_is_complete_and_ends_in_ones() {
        let used: u64 = LENGTHS.iter().map(|&length| 1 << (30 - length)).sum();
        assert_eq!(used, 1 << 30);
        assert_eq!(CODES[256].word, 0x3fff_ffff);
        // Two more from appendix B, one short and one long.
        assert_eq!(
            (CODES[b'a' as usize].word, CODES[b'a' as usize].length),
            (0x03, 5)
        );
        assert_eq!((CODES[10].word, CODES[10].length), (0x3fff_fffc, 30));
    }

    #[test]
    fn every_octet_alone_and_in_pairs() {
        for a in 0..=255 {
            assert_eq!(decoded(&encoded(&[a])), Ok(vec![a]));
            for b in 0..=255 {
                assert_eq!(decoded(&encoded(&[a, b])), Ok(vec![a, b]));
            }
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&encoded(&all)), Ok(all));
    }

    #[test]
    fn rfc_7541_strings() {
        let expected = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(encoded(b"www.example.com"), expected);
        assert_eq!(decoded(&expected), Ok(b"www.example.com".to_vec()));
        assert_eq!(decoded(&[]), Ok(Vec::new()));
    }

    #[test]
    fn padding_of_eight_bits_or_of_zeros_is_refused() {
        // "0" is 00000; three ones of padding follow.
        assert_eq!(decoded(&[0b0000_0111]), Ok(b"0".to_vec()));
        assert_eq!(decoded(&[0b0000_0110]), Err(HpackError::HuffmanPadding));
        assert_eq!(
            decoded(&[0b0000_0111, 0xff]),
            Err(HpackError::HuffmanPadding)
        );
        assert_eq!(decoded(&[0xff]), Err(HpackError::HuffmanPadding));
        assert_eq!(
            decoded(&[0xff, 0xff, 0xff]),
            Err(HpackError::HuffmanPadding)
        );
        // "&" is 11111000, with nothing left to pad.
        assert_eq!(decoded(&[0xf8]), Ok(b"&".to_vec()));
    }

    #[test]
    fn the_end_of_string_symbol_is_refused() {
        assert_eq!(
            decoded(&[0xff, 0xff, 0xff, 0xff]),
            Err(HpackError::HuffmanEos)
        );
        assert_eq!(
            decoded(&[0x07, 0xff, 0xff, 0xff, 0xff]),
            Err(HpackError::HuffmanEos)
        );
    }

    #[test]
    fn a_word_cut_short_is_refused() {
        let whole = encoded(&[10, 10, 10]);
        for len in 1..whole.len() {
            if let Ok(text) = decoded(&whole[..len]) {
                assert!(text.len() < 3, "{len}");
            }
        }
    }
}
