//! Where an export is written to.

use std::fs::{File, TryLockError};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

/// Whether somebody looks at it.
pub trait Shown {
    /// Whether it is a terminal.
    fn is_terminal(&self) -> bool;
}

/// Where devices are written to.
pub enum Target {
    /// The standard output.
    Stdout(io::Stdout),
    /// One that is written as it comes, such as a pipe.
    Special(File, PathBuf),
    /// A file under another name until it is whole.
    #[allow(missing_docs, reason = "they are said by their names")]
    Part {
        file: File,
        part: PathBuf,
        path: PathBuf,
        is_kept: bool,
    },
}

impl Target {
    /// Opens it: a file, or the standard output. The error is about the path beside it.
    ///
    /// # Errors
    /// If it cannot be written, or somebody else is writing it.
    pub fn open(path: Option<&Path>) -> Result<Self, (String, io::Error)> {
        let Some(path) = path else {
            return Ok(Self::Stdout(io::stdout()));
        };
        let failed = |path: &Path| {
            let name = path.display().to_string();
            move |error| (name, error)
        };
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let error = io::Error::other("expected a file, got a folder");
                return Err(failed(path)(error));
            }
            Ok(metadata) if !metadata.is_file() => {
                let file = File::options().write(true).open(path);
                let file = file.map_err(failed(path))?;
                return Ok(Self::Special(file, path.to_owned()));
            }
            _ => {}
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let options = &mut File::options();
        let file = options.write(true).create(true).truncate(false).open(&part);
        let file = file.map_err(failed(&part))?;
        // Where files cannot be locked, nobody is told of the other.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let error = io::Error::other("another export to this file is under way");
            return Err(failed(path)(error));
        }
        file.set_len(0).map_err(failed(&part))?;
        let path = path.to_owned();
        Ok(Self::Part {
            file,
            part,
            path,
            is_kept: false,
        })
    }

    /// What it is called.
    pub fn name(&self) -> String {
        match self {
            Self::Stdout(_) => "standard output".to_owned(),
            Self::Special(_, path) | Self::Part { path, .. } => path.display().to_string(),
        }
    }

    /// All was written.
    ///
    /// # Errors
    /// If it is not on disk.
    pub fn keep(mut self) -> io::Result<()> {
        match &mut self {
            Self::Stdout(out) => out.flush(),
            Self::Special(file, _) => file.flush(),
            Self::Part {
                file,
                part,
                path,
                is_kept,
            } => {
                file.sync_all()?;
                std::fs::rename(part, path)?;
                *is_kept = true;
                Ok(())
            }
        }
    }
}

impl Drop for Target {
    /// What is not whole is of no use to anybody.
    fn drop(&mut self) {
        if let Self::Part {
            part,
            is_kept: false,
            ..
        } = self
        {
            let _ = std::fs::remove_file(part);
        }
    }
}

impl Shown for Target {
    fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout(out) => out.is_terminal(),
            Self::Special(file, _) => file.is_terminal(),
            Self::Part { .. } => false,
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Special(file, _) | Self::Part { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Special(file, _) | Self::Part { file, .. } => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut target = Target::open(Some(&path)).unwrap();
        target.write_all(b"x").unwrap();
        assert!(!path.exists());
        let (_, error) = Target::open(Some(&path)).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("under way"), "{error}");
        drop(target);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut target = Target::open(Some(&path)).unwrap();
        target.write_all(b"y").unwrap();
        target.keep().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "y");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Target::open(Some(folder.path())).is_err());
    }
}
