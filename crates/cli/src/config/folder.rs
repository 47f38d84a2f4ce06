//! The folder of the configuration file, which is all that the function can read: what has to be in
//! it, and what must not be.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use dunlin::config::{Credential, IdentityFiles, Settings};
use dunlin::limits::PRIVATE_KEY_FILE_MAX_BYTES;
use dunlin_certificates::examine_p8;
use dunlin_host::files::read_at_most;

use super::error::ConfigError;

/// The function reads the configuration file, too.
pub(super) fn check_itself(folder: &Path, file: &Path) -> Result<(), ConfigError> {
    let name = file.file_name().map(Path::new);
    if name.and_then(|name| leads_inside(folder, name)) == Some(false) {
        let file = file.display();
        return Err(ConfigError(format!(
            "{file} leads out of its folder: expected the file itself, or a relative link within \
             the folder, which is all that the function can read"
        )));
    }
    Ok(())
}

/// Reads every signing key, so that a wrong one is heard of now and not at the first push.
pub(super) fn check_keys(folder: &Path, settings: &Settings) -> Result<(), ConfigError> {
    for key in settings.credentials().iter().filter_map(Credential::key) {
        let path = folder.join(&key.key_file);
        let failed =
            |why: &dyn std::fmt::Display| ConfigError(format!("key {}: {why}", path.display()));
        if !is_reached(folder, Path::new(&key.key_file)) {
            return Err(failed(&OUT_OF_REACH));
        }
        let file =
            read_at_most(&path, PRIVATE_KEY_FILE_MAX_BYTES).map_err(|error| failed(&error))?;
        examine_p8(&file)
            .map_err(|found| failed(&format_args!("{}. {}", found.what, found.advice)))?;
    }
    Ok(())
}

/// What is wrong with a file that is elsewhere.
pub(crate) const OUT_OF_REACH: &str = "\
    expected a file in the folder of the configuration file, named as seen from there and by \
    relative links at most: the function can read nothing else";

/// Whether the function reaches a file that the configuration names: the folder of the
/// configuration is all that it sees, and `/` for it.
pub(crate) fn is_reached(folder: &Path, file: &Path) -> bool {
    leads_inside(folder, file).unwrap_or(true)
}

/// Whether a path never leaves the folder on its way, links included, as the sandbox opens files:
/// no absolute link, and none that leaves and comes back. `None` if something of it is not there.
fn leads_inside(folder: &Path, file: &Path) -> Option<bool> {
    let mut here = canonical(folder)?;
    let (mut depth, mut links) = (0_usize, 0);
    let mut rest = parts(file);
    while let Some(part) = rest.pop() {
        match part.components().next()? {
            Component::CurDir => {}
            Component::Normal(name) => {
                let next = here.join(name);
                if next.symlink_metadata().ok()?.is_symlink() {
                    links += 1;
                    if links > MAX_LINKS {
                        return Some(false);
                    }
                    rest.extend(parts(&next.read_link().ok()?));
                } else {
                    here = next;
                    depth += 1;
                }
            }
            Component::ParentDir if depth > 0 => {
                here.pop();
                depth -= 1;
            }
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Some(false),
        }
    }
    Some(true)
}

/// Most links that are followed, as on Linux.
const MAX_LINKS: u32 = 40;

/// The components of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().rev();
    parts.map(|part| PathBuf::from(part.as_os_str())).collect()
}

/// A folder with its links followed; the empty one that a bare file name has is the current one.
fn canonical(folder: &Path) -> Option<PathBuf> {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    folder.canonicalize().ok()
}

/// The function can read everything in the folder of the configuration file, and is not to read
/// what belongs to certificates. These are the identities that have secrets there, and the folder.
pub(crate) fn exposed<'a>(
    folder: &Path,
    identities: &'a BTreeMap<String, IdentityFiles>,
) -> Vec<(&'a str, PathBuf)> {
    let Some(folder) = canonical(folder) else {
        return Vec::new();
    };
    // One that cannot be read is told of later, by its own error.
    let is_inside = |path: &Path| {
        path.canonicalize()
            .is_ok_and(|path| path.starts_with(&folder))
    };
    identities
        .iter()
        .filter(|(_, files)| files.secrets().any(is_inside))
        .map(|(name, _)| (name.as_str(), folder.clone()))
        .collect()
}

pub(super) fn check_secrets(
    folder: &Path,
    identities: &BTreeMap<String, IdentityFiles>,
) -> Result<(), ConfigError> {
    let Some((name, folder)) = exposed(folder, identities).into_iter().next() else {
        return Ok(());
    };
    Err(ConfigError(format!(
        "tls.identities.{name}: the function can read everything in {}; expected the key and its \
         passphrase elsewhere",
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_function_reaches_what_is_in_the_folder_and_stays_there() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("conf");
        let inside = folder.join("keys");
        std::fs::create_dir_all(&inside).unwrap();
        for file in [top.path().join("out.p8"), inside.join("in.p8")] {
            std::fs::write(file, "key").unwrap();
        }
        // As Kubernetes mounts a secret, and as nobody should.
        symlink("keys/in.p8", folder.join("linked.p8")).unwrap();
        symlink("../out.p8", folder.join("leaves.p8")).unwrap();
        symlink("../conf/keys/in.p8", folder.join("returns.p8")).unwrap();
        symlink("keys", folder.join("..data")).unwrap();
        symlink("..data/in.p8", folder.join("mounted.p8")).unwrap();
        symlink("round.p8", folder.join("round.p8")).unwrap();
        let absolute = inside.join("in.p8");
        symlink(&absolute, folder.join("absolute.p8")).unwrap();
        for (file, reached) in [
            (Path::new("keys/in.p8"), true),
            (Path::new("./keys/in.p8"), true),
            (Path::new("linked.p8"), true),
            (Path::new("mounted.p8"), true),
            (Path::new("keys/../keys/in.p8"), true),
            (Path::new("returns.p8"), false),
            (Path::new("absolute.p8"), false),
            (Path::new("round.p8"), false),
            // That it is not there is said by whoever reads it.
            (Path::new("none.p8"), true),
            (Path::new("leaves.p8"), false),
            (Path::new("../out.p8"), false),
            (Path::new("../conf/keys/in.p8"), false),
            (&absolute, false),
        ] {
            assert_eq!(is_reached(&folder, file), reached, "{}", file.display());
        }
    }

    #[test]
    fn the_configuration_file_is_no_link_out_of_its_folder() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("conf");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(top.path().join("dunlin.toml"), "").unwrap();
        let file = folder.join("dunlin.toml");
        symlink("../dunlin.toml", &file).unwrap();
        let error = check_itself(&folder, &file).unwrap_err().to_string();
        assert!(error.contains("leads out of its folder"), "{error}");
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "").unwrap();
        assert!(check_itself(&folder, &file).is_ok());
    }
}
