//! The file with the configuration in, [`TlsSettings`] out; and the files that those name.
//!
//! Paths are relative to that file, and are looked for in the folders that the platform gives the
//! component. Everything else in the file is the function's and is not looked at. Limit:
//! [`FILE_MAX_BYTES`] for each file.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dunlin::config::{IdentityFiles, TlsSettings, from_toml};
use serde::Deserialize;

use crate::TlsError;

/// Longest file that is read, in bytes. Ours: all public roots as PEM take a quarter of it.
pub const FILE_MAX_BYTES: usize = 1 << 20;

/// Names the configuration file.
const CONFIG_VARIABLE: &str = "DUNLIN_CONFIG";

/// Where it is otherwise.
const CONFIG_DEFAULT: &str = "dunlin.toml";

#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    tls: TlsSettings,
}

/// Reads the file that `DUNLIN_CONFIG` names, or `dunlin.toml`; also gives the folder that its
/// paths are relative to. A platform that shows this component neither the variable nor the file
/// gets the public roots and no identity.
///
/// # Errors
/// If the file cannot be read, though it is named or is there, or is no such file.
pub fn load() -> Result<(TlsSettings, PathBuf), TlsError> {
    let named = std::env::var(CONFIG_VARIABLE).ok();
    let path = PathBuf::from(named.as_deref().unwrap_or(CONFIG_DEFAULT));
    let is_absent = || matches!(std::fs::exists(&path), Ok(false) | Err(_));
    if named.is_none() && is_absent() {
        return Ok((TlsSettings::default(), PathBuf::new()));
    }
    let text = text(&path)?;
    let settings =
        parse(&text).map_err(|error| TlsError::new(format!("{}: {error}", path.display())))?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok((settings, folder))
}

/// `[tls]` of a configuration file.
///
/// # Errors
/// If it is not TOML, or `[tls]` has something else in it; the error says where, and not what.
pub fn parse(text: &str) -> Result<TlsSettings, TlsError> {
    let whole: Whole = from_toml(text).map_err(|error| TlsError::new(error.to_string()))?;
    Ok(whole.tls)
}

/// The passphrase of an identity, if there is one.
pub(crate) fn passphrase(files: &IdentityFiles, folder: &Path) -> Result<Option<String>, TlsError> {
    if let Some(name) = &files.passphrase_env {
        let missing = |_| TlsError::new(format!("there is no environment variable {name}"));
        return std::env::var(name).map(Some).map_err(missing);
    }
    let Some(path) = &files.passphrase_file else {
        return Ok(None);
    };
    let text = text(&folder.join(path))?;
    Ok(Some(IdentityFiles::passphrase_in(&text).to_owned()))
}

fn text(path: &Path) -> Result<String, TlsError> {
    String::from_utf8(read(path)?)
        .map_err(|_| TlsError::new(format!("{}: expected UTF-8", path.display())))
}

/// A file within its bound.
///
/// # Errors
/// If it cannot be read, or is longer; the error names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |why: &dyn core::fmt::Display| TlsError::new(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    if bytes.len() > FILE_MAX_BYTES {
        return Err(failed(&format!(
            "expected at most {FILE_MAX_BYTES} bytes, got more"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_is_looked_at_and_all_of_it_must_be_known() {
        let settings = parse(
            "[host]\nlisten = 1\n[tls.trust]\nlocalhost = 'ca.pem'\n[tls.identities.shop]\n\
            certificate = 'a.p12'\n",
        )
        .unwrap();
        assert_eq!(
            settings.trust.get("localhost").unwrap(),
            Path::new("ca.pem")
        );
        assert_eq!(
            settings.identities.get("shop").unwrap().certificate,
            Path::new("a.p12")
        );
        assert!(parse("").unwrap().trust.is_empty());
        for wrong in [
            "[tls]\nroots = 'x'",
            "[tls.identities.shop]\nkey = 'x'",
            "tls = ",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let secret = "[tls.identities.shop]\ncertificate = 'x'\npassphrase = 'hunter2'";
        let error = parse(secret).unwrap_err().to_string();
        assert!(
            error.contains("line 3") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn a_passphrase_is_its_file_without_the_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        for (file, expected) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n")] {
            std::fs::write(folder.path().join("p"), file).unwrap();
            let files = IdentityFiles {
                passphrase_file: Some("p".into()),
                ..IdentityFiles::default()
            };
            let got = passphrase(&files, folder.path()).unwrap();
            assert_eq!(got.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_file_beyond_the_bound_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        std::fs::write(&path, vec![b'x'; FILE_MAX_BYTES]).unwrap();
        assert_eq!(read(&path).unwrap().len(), FILE_MAX_BYTES);
        std::fs::write(&path, vec![b'x'; FILE_MAX_BYTES + 1]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("roots.pem"));
    }
}
