//! Folders as they are found, with whoever is given for the user that finds them.

use std::os::unix::fs::symlink;

use super::*;

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder for a test, and one in it as an umask of 000 would have made it.
struct Setup {
    top: tempfile::TempDir,
    folder: PathBuf,
}

impl Setup {
    fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("cache");
        Self { top, folder }
    }

    /// With a file in it, as the runtime writes it.
    fn used(folder_mode: u32, file_mode: u32) -> Self {
        let setup = Self::new();
        let inner = setup.folder.join("modules/cranelift-1");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("code"), "code").unwrap();
        set_mode(&inner.join("code"), file_mode);
        for path in [&inner, &setup.folder.join("modules"), &setup.folder] {
            set_mode(path, folder_mode);
        }
        setup
    }

    fn refused(&self) -> String {
        prepare(&self.folder).unwrap_err().to_string()
    }
}

#[test]
fn what_is_made_is_for_this_user_alone() {
    let setup = Setup::new();
    let deep = setup.top.path().join("a/b/cache");
    let real = prepare(&deep).unwrap();
    assert_eq!(real, deep.canonicalize().unwrap());
    for path in ["a", "a/b", "a/b/cache"] {
        assert_eq!(mode(&setup.top.path().join(path)), 0o700, "{path}");
    }
}

#[test]
fn what_others_can_only_read_is_closed() {
    for (folder_mode, file_mode) in [(0o755, 0o644), (0o700, 0o666), (0o711, 0o600)] {
        let setup = Setup::used(folder_mode, file_mode);
        prepare(&setup.folder).unwrap();
        assert_eq!(mode(&setup.folder), 0o700);
        assert_eq!(mode(&setup.folder.join("modules/cranelift-1")), 0o700);
        let code = setup.folder.join("modules/cranelift-1/code");
        assert_eq!(mode(&code), 0o600);
        assert_eq!(fs::read(code).unwrap(), b"code");
    }
}

#[test]
fn what_the_runtime_has_written_is_closed() {
    let setup = Setup::new();
    let real = prepare(&setup.folder).unwrap();
    let file = real.join("modules/new");
    fs::create_dir(real.join("modules")).unwrap();
    fs::write(&file, "code").unwrap();
    set_mode(&file, 0o666);
    set_mode(&real.join("modules"), 0o777);
    close_all(&real).unwrap();
    assert_eq!(mode(&real.join("modules")), 0o700);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_folder_that_others_could_have_written_to_is_refused_and_left_as_it_is() {
    for folder_mode in [0o777, 0o770, 0o775, 0o707, 0o1777] {
        let setup = Setup::used(0o755, 0o644);
        set_mode(&setup.folder, folder_mode);
        let text = setup.refused();
        assert!(text.contains("others can write to it"), "{text}");
        assert!(text.contains("delete the folder"), "{text}");
        assert_eq!(mode(&setup.folder), folder_mode);
    }
}

#[test]
fn a_folder_that_others_could_replace_is_refused() {
    let setup = Setup::used(0o700, 0o600);
    for above in [0o777, 0o773] {
        set_mode(setup.top.path(), above);
        let text = setup.refused();
        assert!(text.contains("could replace the folder"), "{text}");
        assert!(text.contains("chmod go-w"), "{text}");
    }
    // As /tmp is.
    set_mode(setup.top.path(), 0o1777);
    prepare(&setup.folder).unwrap();
}

/// Many systems give each user a group of the same number, and folders that it can write to.
#[test]
fn a_group_of_one_may_write_above_the_folder() {
    let setup = Setup::new();
    let found = |mode| {
        set_mode(setup.top.path(), mode);
        setup.top.path().metadata().unwrap()
    };
    let own = found(0o775).uid();
    let group = found(0o775).gid();
    let check = |mode, user| check_above(setup.top.path(), &found(mode), user).is_ok();
    let shared = User {
        id: own,
        group: group + 1,
    };
    assert!(!check(0o775, shared));
    assert!(check(0o755, shared));
    let alone = User { id: group, group };
    assert_eq!(check(0o775, alone), group != ROOT && own == group);
    assert!(!check(0o777, alone));
}

#[test]
fn what_belongs_to_another_is_refused() {
    let setup = Setup::used(0o700, 0o600);
    let own = User::current();
    // For whoever is neither root nor who runs this test.
    let id = own.id + 4_321;
    let stranger = User { id, group: id };
    let text = prepare_for(&setup.folder, stranger)
        .unwrap_err()
        .to_string();
    if own.id == ROOT {
        // All folders above it are root's, as they may be.
        assert!(
            text.contains(&format!("belongs to user 0, not to {id}")),
            "{text}"
        );
    }
    assert!(text.contains("belongs to user"), "{text}");
    assert!(text.contains("host.cache"), "{text}");
}

#[test]
fn a_file_of_another_is_refused() {
    let setup = Setup::used(0o700, 0o600);
    let theirs = setup.folder.join("modules/cranelift-1/code");
    if let Err(error) = std::os::unix::fs::chown(&theirs, Some(65_534), None) {
        println!("skipped: only root can give a file away: {error}");
        return;
    }
    let text = setup.refused();
    assert!(text.contains("code: belongs to user 65534"), "{text}");
    fs::remove_file(&theirs).unwrap();
    std::os::unix::fs::chown(&setup.folder, Some(65_534), None).unwrap();
    assert!(setup.refused().contains("cache: belongs to user 65534"));
    std::os::unix::fs::chown(setup.top.path(), Some(65_534), None).unwrap();
    assert!(setup.refused().contains("could replace the folder"));
}

#[test]
fn a_link_is_as_good_as_what_it_leads_to_and_the_way_there() {
    let setup = Setup::used(0o700, 0o600);
    let link = setup.top.path().join("link");
    symlink("cache", &link).unwrap();
    let real = setup.folder.canonicalize().unwrap();
    assert_eq!(prepare(&link), Ok(real.clone()));
    // A way through a folder where others can put a link of their own.
    let open = setup.top.path().join("open");
    fs::create_dir(&open).unwrap();
    symlink("../cache", open.join("second")).unwrap();
    let third = setup.top.path().join("third");
    symlink("open/second", &third).unwrap();
    assert_eq!(prepare(&third), Ok(real));
    set_mode(&open, 0o777);
    let text = prepare(&third).unwrap_err().to_string();
    assert!(text.contains("open: others can write"), "{text}");
    set_mode(&setup.folder, 0o777);
    assert!(prepare(&link).is_err());
    // Around in circles, and to nothing.
    symlink("round", setup.top.path().join("round")).unwrap();
    assert!(prepare(&setup.top.path().join("round")).is_err());
}

#[test]
fn what_the_runtime_does_not_make_is_refused_and_left_as_it_is() {
    let setup = Setup::used(0o755, 0o644);
    let own = setup.folder.join("thesis.tex");
    fs::write(&own, "text").unwrap();
    set_mode(&own, 0o644);
    assert!(setup.refused().contains("a folder of its own"));
    assert_eq!((mode(&setup.folder), mode(&own)), (0o755, 0o644));
    fs::remove_file(&own).unwrap();
    symlink("/etc/passwd", setup.folder.join("modules/link")).unwrap();
    assert!(setup.refused().contains("neither a file nor a folder"));
}

#[test]
fn a_file_or_a_folder_that_cannot_be_made_is_refused() {
    let setup = Setup::new();
    fs::write(&setup.folder, "").unwrap();
    assert!(setup.refused().contains("cannot be used"));
    let below = setup.folder.join("below");
    assert!(prepare(&below).unwrap_err().to_string().contains("below"));
}
