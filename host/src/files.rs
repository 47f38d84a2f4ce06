//! Small files with secrets in them.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::Error;

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("{}: {error}", path.display()))
}

/// Writes a file that only its owner can read; whole or not at all.
///
/// # Errors
/// If it cannot be written; the error names it.
pub fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| failed(path, &error))
}

/// Makes a folder that only its owner can look into, and those above it.
///
/// # Errors
/// If it cannot be made; the error names it.
pub fn make_private_folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(|error| failed(path, &error))
}

/// What the file holds, or what `make` makes, which is then in the file.
///
/// # Errors
/// If it cannot be read or written, or `make` fails.
pub fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<String, Error>,
) -> Result<String, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.is_empty() => Ok(text),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(path, &error)),
        _ => {
            let text = make()?;
            write_private(path, &text)?;
            Ok(text)
        }
    }
}
