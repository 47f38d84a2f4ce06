//! The folder that compiled code is kept in between starts. What is found there is run, so it has
//! to be nobody else's work.
//!
//! - The folder and all below it belong to this user and are for this user alone: 0700, files 0600,
//!   whatever the umask says. Where they are ours and can be read by others, they are closed.
//! - A folder that others could have written to, or that others could replace by another one, is
//!   refused. So is one that has links, somebody else's files or anything but compiled code in it.
//!   Then the code is compiled anew at each start.
//!
//! Limits: a folder with more than [`MAX_ENTRIES`] entries is refused; the runtime keeps a few.

use std::fmt;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::process::{getegid, geteuid};

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What others may do to a file or folder that they can write to.
const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_ALL: u32 = 0o002;

/// In a folder with this bit only the owner of an entry, or of the folder, can replace it.
const STICKY: u32 = 0o1000;

/// Most entries of the folder and those below it, and how far below.
const MAX_ENTRIES: usize = 10_000;
const MAX_DEPTH: usize = 8;

/// Most links that are followed, as on Linux.
const MAX_LINKS: u32 = 40;

const ROOT: u32 = 0;

/// Why a folder is not used, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct FolderRefusal {
    path: PathBuf,
    why: String,
    remedy: String,
}

impl fmt::Display for FolderRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, why, remedy } = self;
        write!(f, "{}: {why}; {remedy}", path.display())
    }
}

impl std::error::Error for FolderRefusal {}

/// Who we are, as far as files are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User {
    id: u32,
    group: u32,
}

impl User {
    fn current() -> Self {
        Self {
            id: geteuid().as_raw(),
            group: getegid().as_raw(),
        }
    }

    /// Whether a group has nobody in it but this user: many systems give each user one of the same
    /// number.
    const fn is_alone_in(self, group: u32) -> bool {
        self.id != ROOT && self.id == self.group && group == self.group
    }
}

/// Makes the folder if there is none, and checks it; where it really is.
///
/// # Errors
/// [`FolderRefusal`]: it cannot be used, or is not safe to be used.
pub fn prepare(folder: &Path) -> Result<PathBuf, FolderRefusal> {
    prepare_for(folder, User::current())
}

fn prepare_for(folder: &Path, user: User) -> Result<PathBuf, FolderRefusal> {
    let unusable = |error: io::Error| unusable(folder, &error);
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(FOLDER_MODE).create(folder);
    made.map_err(unusable)?;
    let named = std::path::absolute(folder).map_err(unusable)?;
    let real = followed(&named, user)?;
    let found = real.symlink_metadata().map_err(unusable)?;
    check_folder(&real, &found, user)?;
    for entry in fs::read_dir(&real).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        if !is_the_runtimes(&name.to_string_lossy()) {
            let why = "has other things in it than compiled code".to_owned();
            return Err(refused(
                &real,
                why,
                "name a folder of its own as host.cache",
            ));
        }
    }
    close(&real, user)?;
    Ok(real)
}

/// Whether the runtime makes such a thing in its folder. It deletes what else is there.
fn is_the_runtimes(name: &str) -> bool {
    name == "modules" || name.starts_with(".cleanup.")
}

/// Where a path leads, each folder on the way checked: whoever can write to one can lead us
/// elsewhere.
fn followed(path: &Path, user: User) -> Result<PathBuf, FolderRefusal> {
    let mut here = PathBuf::from("/");
    let mut links = 0;
    let mut rest = parts(path);
    while let Some(part) = rest.pop() {
        let Some(Component::Normal(name)) = part.components().next() else {
            match part.components().next() {
                Some(Component::ParentDir) => drop(here.pop()),
                Some(Component::RootDir) => here = PathBuf::from("/"),
                _ => {}
            }
            continue;
        };
        let above = here.metadata().map_err(|error| unusable(&here, &error))?;
        check_above(&here, &above, user)?;
        let next = here.join(name);
        let found = next.symlink_metadata();
        let found = found.map_err(|error| unusable(&next, &error))?;
        if found.is_symlink() {
            links += 1;
            if links > MAX_LINKS || (found.uid() != user.id && found.uid() != ROOT) {
                let why = "is a link of another user, or one of too many".to_owned();
                return Err(refused(&next, why, "name the folder itself as host.cache"));
            }
            let target = next.read_link().map_err(|error| unusable(&next, &error))?;
            rest.extend(parts(&target));
        } else {
            here = next;
        }
    }
    Ok(here)
}

/// The components of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().rev();
    parts.map(|part| PathBuf::from(part.as_os_str())).collect()
}

/// Takes from others what they may do with the folder and what is in it. To be called again when
/// the runtime has written something, which knows only of the umask.
///
/// # Errors
/// [`FolderRefusal`]: there is something in it that is not ours.
pub fn close_all(folder: &Path) -> Result<(), FolderRefusal> {
    close(folder, User::current())
}

fn unusable(path: &Path, error: &io::Error) -> FolderRefusal {
    let remedy = "name another folder as host.cache";
    refused(path, format!("cannot be used: {error}"), remedy)
}

fn refused(path: &Path, why: String, remedy: &str) -> FolderRefusal {
    let path = path.to_owned();
    let remedy = remedy.to_owned();
    FolderRefusal { path, why, remedy }
}

/// What is above the folder.
fn check_above(path: &Path, found: &Metadata, user: User) -> Result<(), FolderRefusal> {
    if found.uid() != user.id && found.uid() != ROOT {
        let why = format!(
            "belongs to user {}, who could replace the folder",
            found.uid()
        );
        let remedy = "name a folder as host.cache that is not below another user's";
        return Err(refused(path, why, remedy));
    }
    let mode = found.mode();
    let by_group = mode & WRITABLE_BY_GROUP != 0 && !user.is_alone_in(found.gid());
    if (by_group || mode & WRITABLE_BY_ALL != 0) && mode & STICKY == 0 {
        let why = format!(
            "others can write to it (mode {:o}), and could replace the folder",
            mode & 0o7777
        );
        let remedy = "take that from them (chmod go-w), or name another folder as host.cache";
        return Err(refused(path, why, remedy));
    }
    Ok(())
}

fn check_folder(path: &Path, found: &Metadata, user: User) -> Result<(), FolderRefusal> {
    if !found.is_dir() {
        let remedy = "name a folder as host.cache";
        return Err(refused(path, "is no folder".into(), remedy));
    }
    check_owner(path, found, user)?;
    let mode = found.mode();
    if mode & (WRITABLE_BY_GROUP | WRITABLE_BY_ALL) != 0 {
        let why = format!(
            "others can write to it (mode {:o}), so what is in it may be theirs",
            mode & 0o7777
        );
        let remedy = "delete the folder, and it is made anew for this user alone";
        return Err(refused(path, why, remedy));
    }
    Ok(())
}

fn check_owner(path: &Path, found: &Metadata, user: User) -> Result<(), FolderRefusal> {
    if found.uid() == user.id {
        return Ok(());
    }
    let why = format!("belongs to user {}, not to {}", found.uid(), user.id);
    let remedy = "delete it, or name another folder as host.cache";
    Err(refused(path, why, remedy))
}

/// Closes the folder first, so that nothing comes in while the rest is looked at.
fn close(folder: &Path, user: User) -> Result<(), FolderRefusal> {
    let set_mode = |path: &Path, found: &Metadata, mode: u32| {
        if found.mode() & 0o7777 == mode {
            return Ok(());
        }
        match fs::set_permissions(path, Permissions::from_mode(mode)) {
            // The runtime deletes what is old whenever it likes.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(path, &error)),
            _ => Ok(()),
        }
    };
    let mut waiting = vec![(folder.to_owned(), 0)];
    let mut count = 0;
    while let Some((path, depth)) = waiting.pop() {
        let found = match path.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unusable(&path, &error)),
        };
        count += 1;
        if count > MAX_ENTRIES || depth > MAX_DEPTH {
            let why = "has more in it than the runtime puts there".to_owned();
            return Err(refused(
                folder,
                why,
                "name a folder of its own as host.cache",
            ));
        }
        check_owner(&path, &found, user)?;
        if found.is_dir() {
            set_mode(&path, &found, FOLDER_MODE)?;
            let entries = fs::read_dir(&path).map_err(|error| unusable(&path, &error))?;
            for entry in entries {
                let entry = entry.map_err(|error| unusable(&path, &error))?;
                waiting.push((entry.path(), depth + 1));
            }
        } else if found.is_file() {
            set_mode(&path, &found, FILE_MODE)?;
        } else {
            let why = "is neither a file nor a folder".to_owned();
            return Err(refused(&path, why, "delete it"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
