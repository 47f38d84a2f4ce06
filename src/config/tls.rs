//! `[tls]`: whom to trust, and who we are, by files.
//!
//! ```toml
//! [tls.trust]
//! "apns.example.com" = "ca.pem"           # instead of the public roots, for this name
//!
//! [tls.identities.shop]
//! certificate = "shop.p12"                # or PEM
//! key = "shop.key"                        # where it is not in the first
//! passphrase_file = "shop.pass"           # or passphrase_env = "SHOP_PASSPHRASE"
//! ```
//!
//! The function does not look at it: it is for whoever supplies `wasi:tls` to it, which is the
//! host, or the plug where there is none. Paths are relative to the configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::error::{ConfigError, invalid};
use super::host::{host_name, not_a_host};
use crate::tls_name::{IDENTITY_MAX_BYTES, is_identity};

/// `[tls]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM files of trust roots by server name. Other names are checked against the public roots.
    #[serde(default, deserialize_with = "by_host")]
    pub trust: BTreeMap<String, PathBuf>,
    /// Client certificates by the names that `identity` in `[[credentials]]` and `[[binary]]`
    /// refers to.
    #[serde(default)]
    pub identities: BTreeMap<String, IdentityFiles>,
}

/// The names are hosts, and kept in the form in which hosts are compared.
fn by_host<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, PathBuf>, D::Error> {
    let written = BTreeMap::<String, PathBuf>::deserialize(input)?;
    let mut read = BTreeMap::new();
    for (name, path) in written {
        let host = host_name(&name).ok_or_else(|| D::Error::custom(not_a_host(&name)))?;
        read.insert(host, path);
    }
    Ok(read)
}

/// `[tls.identities.<name>]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFiles {
    /// PKCS #12 (`.p12`, `.pfx`), or PEM: the certificate and the chain above it.
    pub certificate: PathBuf,
    /// Its private key as PEM; in the same file if absent.
    pub key: Option<PathBuf>,
    /// What the key, or the whole PKCS #12 file, is encrypted with, in a file:
    /// [`Self::passphrase_in`].
    pub passphrase_file: Option<PathBuf>,
    /// The same, in an environment variable of this name.
    pub passphrase_env: Option<String>,
}

impl IdentityFiles {
    /// Those that nobody else may see.
    pub fn secrets(&self) -> impl Iterator<Item = &Path> {
        let key = self.key.as_deref().unwrap_or(&self.certificate);
        [Some(key), self.passphrase_file.as_deref()]
            .into_iter()
            .flatten()
    }

    /// The passphrase in the text of its file. A line break at the end, as editors put it there,
    /// does not belong to it.
    pub fn passphrase_in(text: &str) -> &str {
        let line = text.strip_suffix('\n').unwrap_or(text);
        line.strip_suffix('\r').unwrap_or(line)
    }
}

/// The name of a client certificate.
pub(super) fn identity_name(text: String, path: &str) -> Result<String, ConfigError> {
    if is_identity(&text) {
        return Ok(text);
    }
    let expected = format!("up to {IDENTITY_MAX_BYTES} letters, digits, '.', '-' and '_'");
    let got: String = text.chars().take(IDENTITY_MAX_BYTES).collect();
    Err(invalid(
        path,
        format_args!("expected {expected}, got {got:?}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::from_toml;
    use super::*;

    #[test]
    fn a_name_to_trust_is_a_host_like_every_other() {
        let settings = |name: &str| from_toml::<TlsSettings>(&format!("[trust]\n{name:?} = 'a'"));
        for (written, read) in [("[::1]", "::1"), ("::1", "::1"), ("localhost", "localhost")] {
            let trust = settings(written).unwrap().trust;
            assert!(trust.contains_key(read), "{written}: {trust:?}");
        }
        for wrong in ["", "[localhost]", "localhost:2197", "https://localhost"] {
            let error = settings(wrong).unwrap_err().to_string();
            assert!(error.contains("expected a host name"), "{wrong}: {error}");
        }
    }
}
