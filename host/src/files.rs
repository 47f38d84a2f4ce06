//! Small files with secrets in them.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;

use crate::Error;

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::new(format!("{}: {error}", path.display()))
}

/// What a file holds, if that is at most so many bytes. Of a longer one, or one without an end, one
/// byte more is read.
///
/// # Errors
/// If it cannot be read, or is longer: [`ErrorKind::FileTooLarge`].
pub fn read_at_most(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let why = format!("expected at most {most} bytes, got more");
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// Writes a file that only its owner can read, whatever the umask says; whole or not at all.
///
/// # Errors
/// If it cannot be written; the error names it.
pub fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let beside = path.with_extension("new");
    // What is left of an earlier attempt has the rights, and perhaps the owner, of then.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(path, &error)),
        _ => {}
    }
    let written = create_private(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| failed(path, &error))
}

/// Makes a file that only its owner can read and write, whatever the umask says.
///
/// # Errors
/// Also if there is one: [`ErrorKind::AlreadyExists`].
pub fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let file = options.open(path)?;
    // An umask can take too much.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Makes a folder that only its owner can look into, and those above it that are missing; nothing
/// if it is there.
///
/// # Errors
/// If it cannot be made; the error names it.
pub fn make_private_folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(|error| failed(path, &error))
}

/// Takes from others, from now on and in the whole process, all that they might do with the files
/// and folders that are made. To be called before there are other threads that make some.
pub fn make_all_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// What the file holds, or what `make` makes, which is then in the file.
///
/// # Errors
/// If it cannot be read or written, or `make` fails.
pub fn read_or_make<E: From<Error>>(
    path: &Path,
    make: impl FnOnce() -> Result<String, E>,
) -> Result<String, E> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.is_empty() => Ok(text),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(path, &error).into()),
        _ => {
            let text = make()?;
            write_private(path, &text)?;
            Ok(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_left_of_an_earlier_attempt_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api-key");
        let beside = folder.path().join("api-key.new");
        let other = folder.path().join("other");
        std::fs::write(&other, "theirs").unwrap();
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o666)).unwrap();
        symlink(&other, &beside).unwrap();
        write_private(&path, "secret").unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "theirs");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "secret");
        assert_eq!(mode(&path), 0o600);
        std::fs::rename(&other, &beside).unwrap();
        write_private(&path, "another").unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read_at_most(&path, 10).unwrap(), [7; 10]);
        let error = read_at_most(&path, 9).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "expected at most 9 bytes, got more");
        let endless = read_at_most(Path::new("/dev/zero"), 100);
        assert_eq!(endless.unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
