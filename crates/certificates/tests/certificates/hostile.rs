//! Bytes that are nearly right: none makes the reader panic, and none gives a wrong key.

use dunlin::time::UnixTime;
use dunlin_certificates::{CertificateInfo, Identity, Wanted, examine_p8, findings};

use crate::make::{PASSPHRASE, data, pkcs8, the_key};

/// A generator of numbers that look random and are the same in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

fn look_at(file: &[u8]) -> Option<Identity> {
    let _ = examine_p8(file);
    let _ = CertificateInfo::of(file);
    let _ = Identity::from_pem(file, None, PASSPHRASE);
    let _ = Identity::from_pkcs12(file, PASSPHRASE);
    let identity = Identity::read(file, None, PASSPHRASE).ok()?;
    let _ = findings(&identity, &Wanted::default(), UnixTime::EPOCH);
    Some(identity)
}

const FILES: [&[u8]; 6] = [
    data!("no-iterations.p12"),
    data!("plain.p12"),
    data!("certificate.cer"),
    data!("together.pem"),
    data!("key.pkcs8.pem"),
    data!("prime256v1.key.pem"),
];

#[test]
fn no_prefix_of_a_file_is_an_identity() {
    for file in FILES {
        for cut in 0..file.len() {
            let whole = file[cut..].iter().all(u8::is_ascii_whitespace);
            assert!(look_at(&file[..cut]).is_none() || whole, "{cut}");
        }
    }
}

#[test]
fn a_changed_byte_never_changes_the_key_of_a_file_with_a_mac() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let file = data!("no-iterations.p12");
    for at in 0..file.len() {
        let mut changed = file.to_vec();
        changed[at] ^= 1 << numbers.below(8);
        if let Some(identity) = look_at(&changed) {
            assert_eq!(pkcs8(&identity), the_key(), "{at}");
            assert_eq!(&*identity.chain()[0], data!("certificate.cer"), "{at}");
        }
    }
}

#[test]
fn changes_and_cuts_do_not_make_it_panic() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for round in 0..3_000 {
        let mut file = FILES[round % FILES.len()].to_vec();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(file.len());
            match numbers.below(4) {
                0 => file[at] = 0x30,
                1 => file[at] = 0x80,
                2 => drop(file.remove(at)),
                _ => file[at] = u8::try_from(numbers.below(256)).unwrap(),
            }
        }
        look_at(&file);
    }
}
