//! The folder in which finished components are, `target/plugs`.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::{BuildError, Part, Workspace};

/// The folder, into which nobody else builds until this is dropped.
#[derive(Debug)]
pub struct Output {
    workspace: Workspace,
    folder: PathBuf,
    _lock: File,
}

impl Output {
    /// Makes the folder, and waits until nobody else builds into it.
    ///
    /// # Errors
    /// If it cannot be made or locked.
    pub fn open(workspace: &Workspace) -> Result<Self, BuildError> {
        let folder = workspace.target.join("plugs");
        let locked = || {
            std::fs::create_dir_all(&folder)?;
            let file = File::create(folder.join("lock"))?;
            if file.try_lock().is_err() {
                let folder = folder.display();
                // Perhaps nobody reads it.
                let _ = writeln!(io::stderr(), "    Waiting for another build into {folder}");
                file.lock()?;
            }
            Ok(file)
        };
        let lock = locked().map_err(|error| BuildError::at(&folder, &error))?;
        Ok(Self {
            workspace: workspace.clone(),
            folder,
            _lock: lock,
        })
    }

    /// Where a part is, once it was put here.
    pub fn path(&self, part: Part) -> PathBuf {
        self.folder.join(part.file_name())
    }

    /// Builds a part, puts it here, and says where that is.
    ///
    /// # Errors
    /// As [`Part::build`], or if the file cannot be written.
    pub fn put(&self, part: Part) -> Result<PathBuf, BuildError> {
        let built = part.build(&self.workspace)?;
        self.write(part.file_name(), &read(&built)?)
    }

    /// Puts a file here. It is left alone if it has these bytes already: whoever has it open keeps
    /// it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, BuildError> {
        let path = self.folder.join(name);
        if std::fs::read(&path).is_ok_and(|present| present == bytes) {
            return Ok(path);
        }
        let beside = path.with_extension("new");
        std::fs::write(&beside, bytes)
            .and_then(|()| std::fs::rename(&beside, &path))
            .map_err(|error| BuildError::at(&path, &error))?;
        Ok(path)
    }
}

/// A file, whose path is in the error.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|error| BuildError::at(path, &error))
}
