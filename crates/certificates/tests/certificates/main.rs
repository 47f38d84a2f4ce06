//! Everything through the public interface: files that openssl has made, certificates and PKCS #12
//! files made here, and bytes that are neither.
#![cfg(test)]

mod findings;
mod hostile;
mod info;
mod make;
mod p8;
mod pem;
mod pkcs12;
