//! A client certificate with its key, from the files that the configuration names.
//!
//! ```text
//! certificate (.p12, .pfx, PEM), key (PEM) ─┐
//! passphrase_file or passphrase_env ────────┴► Identity
//! ```
//!
//! Invariant: no key and no passphrase is in an error or in `Debug`. Limits: [`FILE_MAX_BYTES`] for
//! certificates and keys, [`PASSPHRASE_MAX_BYTES`] for a passphrase's file.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use dunlin::config::IdentityFiles;
use dunlin::time::UnixTime;
use dunlin_certificates::limits::FILE_MAX_BYTES;
use dunlin_certificates::{self as certificates, CertificateInfo, Finding, Level, Wanted};
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;

use crate::files::read_at_most;

/// Longest file with a passphrase, in bytes. Ours.
pub const PASSPHRASE_MAX_BYTES: usize = 4_096;

/// Who we are to a server. Its key stays in the host.
#[derive(Debug)]
pub struct Identity(certificates::Identity);

impl Identity {
    /// Reads the files of `[tls.identities.<name>]`. Whether key and certificate belong together is
    /// for [`Identity::check_key`] to say.
    ///
    /// # Errors
    /// If a file cannot be read, is something else, or its passphrase is another one; with what to
    /// do about it.
    pub fn read(files: &IdentityFiles) -> Result<Self, Finding> {
        let passphrase = passphrase(files, |name| std::env::var(name).ok())?;
        let certificate = read_file(&files.certificate, FILE_MAX_BYTES)?;
        let key = match &files.key {
            None => None,
            Some(path) => Some(read_file(path, FILE_MAX_BYTES)?),
        };
        certificates::Identity::read(&certificate, key.as_deref(), passphrase.as_deref())
            .map(Self)
            .map_err(|error| at(&files.certificate, Finding::from(error)))
    }

    /// What the certificate says.
    pub fn info(&self) -> &CertificateInfo {
        self.0.info()
    }

    /// What is wrong with it, the worst first.
    pub fn findings(&self, wanted: &Wanted, now: UnixTime) -> Vec<Finding> {
        certificates::findings(&self.0, wanted, now)
    }

    /// What of that is about the topics and environments that the certificate is for.
    pub fn coverage(&self, wanted: &Wanted) -> Vec<Finding> {
        certificates::coverage(self.info(), wanted)
    }

    /// Whether the key is the certificate's, and one that TLS can use.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_key(&self) -> Result<(), Finding> {
        certificates::check_key(&self.0)
    }

    /// What TLS shows.
    ///
    /// # Errors
    /// As [`Identity::check_key`].
    pub(super) fn shown(
        &self,
        crypto: &CryptoProvider,
    ) -> Result<Arc<dyn ResolvesClientCert>, Finding> {
        self.0.shown(crypto)
    }
}

/// A small file, or what keeps it from being read.
///
/// # Errors
/// The finding names the file.
pub fn read_file(path: &Path, most: usize) -> Result<Vec<u8>, Finding> {
    read_at_most(path, most).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::NotFound => {
                "Put the file there, or name another one; paths are relative to the configuration \
                file."
            }
            ErrorKind::PermissionDenied => "Let the user that runs this read the file.",
            _ => "Name another file.",
        };
        at(path, error_finding(error.to_string(), advice))
    })
}

/// The passphrase, if there is one; `variable` looks into the environment.
fn passphrase(
    files: &IdentityFiles,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, Finding> {
    if let Some(name) = &files.passphrase_env {
        let missing = || {
            error_finding(
                format!("expected the passphrase in the environment variable {name}, got none"),
                "Set the variable where this is started, or use passphrase_file.",
            )
        };
        return variable(name).map(Some).ok_or_else(missing);
    }
    let Some(path) = &files.passphrase_file else {
        return Ok(None);
    };
    let bytes = read_file(path, PASSPHRASE_MAX_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let what = "expected a passphrase in UTF-8, got something else".to_owned();
        at(
            path,
            error_finding(what, "Save the passphrase as a text file in UTF-8."),
        )
    })?;
    Ok(Some(IdentityFiles::passphrase_in(&text).to_owned()))
}

fn error_finding(what: String, advice: &str) -> Finding {
    Finding {
        level: Level::Error,
        what,
        advice: advice.to_owned(),
    }
}

/// The same finding with the name of the file before it.
fn at(path: &Path, found: Finding) -> Finding {
    Finding {
        what: format!("{}: {}", path.display(), found.what),
        ..found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &IdentityFiles, variable: Option<&str>) -> Result<Option<String>, String> {
        passphrase(files, |name| {
            assert_eq!(name, "SHOP_PASSPHRASE");
            variable.map(str::to_owned)
        })
        .map_err(|found| found.to_string())
    }

    #[test]
    fn a_passphrase_comes_from_a_file_without_its_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        let files = IdentityFiles {
            passphrase_file: Some(path.clone()),
            ..IdentityFiles::default()
        };
        for (file, expected) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret \n\n", "secret \n"),
            ("\n", ""),
        ] {
            std::fs::write(&path, file).unwrap();
            assert_eq!(read(&files, None), Ok(Some(expected.to_owned())));
        }
        for (file, why) in [
            (vec![b'x'; PASSPHRASE_MAX_BYTES + 1], "at most 4096 bytes"),
            (vec![0xff], "in UTF-8"),
        ] {
            std::fs::write(&path, file).unwrap();
            let error = read(&files, None).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_passphrase_comes_from_the_environment_as_it_is() {
        let files = IdentityFiles {
            passphrase_env: Some("SHOP_PASSPHRASE".into()),
            ..IdentityFiles::default()
        };
        let given = read(&files, Some("secret\n"));
        assert_eq!(given, Ok(Some("secret\n".to_owned())));
        let error = read(&files, None).unwrap_err();
        assert!(error.contains("SHOP_PASSPHRASE, got none"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let files = IdentityFiles {
            certificate: "/nowhere/push.p12".into(),
            ..IdentityFiles::default()
        };
        let found = Identity::read(&files).unwrap_err();
        assert!(found.what.starts_with("/nowhere/push.p12: "), "{found}");
        assert!(found.advice.starts_with("Put the file there"), "{found}");
    }
}
