//! A passphrase turned into a key, the way PKCS #12 does it.
//!
//! Source: RFC 7292 appendix B. `v` is the block of the hash in bytes (64, or 128 from SHA-384 on):
//!
//! ```text
//! D = the purpose, v times            I = salt ‖ passphrase, each repeated to a multiple of v
//! A₁ = H(H(… H(D ‖ I)))  as many times as there are iterations
//! I  = each block of v bytes of it, plus A₁ repeated to v bytes, plus 1, modulo 2^8v
//! A₂ = H(H(… H(D ‖ I)))                key = A₁ ‖ A₂ ‖ …
//! ```

use ring::digest::{Algorithm, Context, digest};
use zeroize::Zeroizing;

/// What the bytes are for: the number is part of the derivation.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Purpose {
    Key = 1,
    InitialVector = 2,
    Mac = 3,
}

/// Derives `length` bytes. The passphrase is in the encoding of PKCS #12: UTF-16, big-endian, with
/// a terminating zero.
pub(crate) fn derive(
    hash: &'static Algorithm,
    passphrase: &[u8],
    salt: &[u8],
    purpose: Purpose,
    iterations: u32,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let block = hash.block_len();
    let diversifier = vec![purpose as u8; block];
    let mut input = Zeroizing::new(Vec::with_capacity(
        padded(salt, block) + padded(passphrase, block),
    ));
    for part in [salt, passphrase] {
        input.extend(part.iter().cycle().take(padded(part, block)));
    }
    let mut key = Zeroizing::new(Vec::with_capacity(length + hash.output_len()));
    while key.len() < length {
        let mut first = Context::new(hash);
        first.update(&diversifier);
        first.update(&input);
        let mut output = first.finish();
        for _ in 1..iterations {
            output = digest(hash, output.as_ref());
        }
        key.extend_from_slice(output.as_ref());
        for part in input.chunks_exact_mut(block) {
            add_and_one(part, output.as_ref());
        }
    }
    key.truncate(length);
    key
}

fn padded(part: &[u8], block: usize) -> usize {
    part.len().div_ceil(block) * block
}

/// Adds a number and 1 to another, big-endian; the first is repeated from its start to be as long
/// as the second. What overflows is dropped.
fn add_and_one(sum: &mut [u8], repeated: &[u8]) {
    let addend: Vec<u8> = repeated.iter().copied().cycle().take(sum.len()).collect();
    let mut carry = true;
    for (digit, add) in sum.iter_mut().zip(addend).rev() {
        let (once, over) = digit.overflowing_add(add);
        let (twice, again) = once.overflowing_add(u8::from(carry));
        *digit = twice;
        carry = over || again;
    }
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};

    use super::*;

    /// Made by `openssl kdf -kdfopt digest:… PKCS12KDF`.
    #[test]
    fn keys_are_those_of_openssl() {
        let smeg = "0073006d006500670000";
        let long = format!("{}0000", "0073".repeat(70));
        let rows = [
            (
                &SHA1_FOR_LEGACY_USE_ONLY,
                smeg,
                "0a58cf64530d823f",
                Purpose::Key,
                1,
                "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3",
            ),
            (
                &SHA1_FOR_LEGACY_USE_ONLY,
                smeg,
                "0a58cf64530d823f",
                Purpose::InitialVector,
                1,
                "79993dfe048d3b76",
            ),
            (
                &SHA1_FOR_LEGACY_USE_ONLY,
                "007100750065006500670000",
                "05dec959acff72f7",
                Purpose::Key,
                1000,
                "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4",
            ),
            (
                &SHA1_FOR_LEGACY_USE_ONLY,
                "0000",
                "0102030405060708",
                Purpose::Mac,
                3,
                "e1ca2b372b0ed9edf1e3a521108564aa7dd59922",
            ),
            (
                &SHA512,
                smeg,
                "0a58cf64530d823f",
                Purpose::Key,
                5,
                "df2183dc106854dc03a7ae55b85025b1978bddb7c6142a7e1b08f23441d5384c\
                 ce5d232a7924e76dfb3f7a3205ab849ae1f647bd63c4a7a53388d4c12111dd14\
                 ec4e203d6f1ece08b8e45141e17b428ed6bad1dd2d4f4d691b45d7d286ac8fca\
                 56366c17",
            ),
            (
                &SHA256,
                &long,
                &"ff".repeat(64),
                Purpose::Mac,
                2,
                "532ae011a88248c3982b20cc41b567d4e0187eb5d9c0a6fb4ab8bb472e791262\
                 e430e4a1f0ba5bb929aedf75b11c7879d4fbf5b3236527c253b68a3868a23243\
                 f3ba6115a1b2",
            ),
        ];
        for (hash, passphrase, salt, purpose, rounds, key) in rows {
            let passphrase = hex::decode(passphrase).unwrap();
            let salt = hex::decode(salt).unwrap();
            let derived = derive(hash, &passphrase, &salt, purpose, rounds, key.len() / 2);
            assert_eq!(hex::encode(&*derived), key);
        }
    }

    #[test]
    fn no_passphrase_and_an_empty_one_are_different_keys() {
        let key = |passphrase| derive(&SHA256, passphrase, b"salt", Purpose::Key, 1, 8);
        assert_ne!(key(&[]), key(&[0, 0]));
    }
}
