//! A client certificate with its key, from PEM files.

use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TrustError;

/// Who we are to a server. Its key stays in the host.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

impl Identity {
    /// Reads a certificate with the chain above it, and its private key, from PEM files; both may
    /// be in one.
    ///
    /// # Errors
    /// If a file cannot be read or has none of it. Whether the two belong together shows in
    /// [`super::Provider::new`].
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TrustError> {
        let failed = |path: &Path, why: &dyn std::fmt::Display| {
            TrustError(format!("identity in {}: {why}", path.display()))
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(certificate, &error))?;
        if chain.is_empty() {
            let why = "expected at least one PEM certificate, got none";
            return Err(failed(certificate, &why));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?;
        Ok(Self { chain, key })
    }

    pub(super) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}
