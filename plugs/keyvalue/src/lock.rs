//! Locks between instances that share a folder, by nothing but renaming.
//!
//! ```text
//!   lock/7.free ──rename──► lock/7.<holder> ──rename──► lock/7.free
//! ```
//!
//! Each lock is one empty file that has one name at a time. Renaming it succeeds for one only,
//! since the old name has to be there, and the name of a holder is never used twice. WASI has no
//! locks of files, and a file that is created to lock and removed to unlock cannot be told from the
//! next one.
//!
//! A holder that is gone leaves its name. Who has seen the same one for [`STALE_AFTER`] renames it
//! to its own, which again succeeds for one only. Limit: a holder that was stopped for so long, and
//! goes on, does so without the lock; it notices when it lets go.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::listing::names;

/// After how long a holder that does not let go is taken to be gone. It holds a lock for a few
/// calls of the file system.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(5);

/// How long to wait for a lock altogether.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// What counts at most as the time between two looks.
const LOOK_MAX: Duration = Duration::from_millis(100);

/// How many locks there are: writers of different ones do not wait for each other.
pub(crate) const LOCKS: usize = 16;

const FREE: &str = "free";

/// Makes the locks, unless they are there. `aside` is a name for what is being made.
pub(crate) fn make(folder: &Path, aside: &Path) -> io::Result<()> {
    if fs::exists(folder)? {
        return Ok(());
    }
    fs::create_dir(aside)?;
    for lock in 0..LOCKS {
        File::create_new(aside.join(name(lock, FREE)))?;
    }
    // Some file systems keep no order between a folder's names and its own.
    File::open(aside)?.sync_all()?;
    // All of them appear at once; a folder that is there and not empty is not replaced.
    match fs::rename(aside, folder) {
        Err(_) if fs::exists(folder)? => fs::remove_dir_all(aside),
        renamed => renamed,
    }
}

fn name(lock: usize, holder: &str) -> String {
    format!("{lock:x}.{holder}")
}

/// A lock that is held. To be let go by [`Held::release`]; dropped, it is let go too.
pub(crate) struct Held {
    ours: PathBuf,
    free: PathBuf,
    is_released: bool,
}

impl Held {
    /// Waits for a lock. `holder` is a name that nobody has used and nobody will use.
    pub(crate) fn acquire(folder: &Path, lock: usize, holder: &str) -> io::Result<Self> {
        Self::acquire_within(folder, lock, holder, STALE_AFTER)
    }

    fn acquire_within(
        folder: &Path,
        lock: usize,
        holder: &str,
        stale_after: Duration,
    ) -> io::Result<Self> {
        let ours = folder.join(name(lock, holder));
        let free = folder.join(name(lock, FREE));
        let began = Instant::now();
        let mut seen: Option<(PathBuf, Duration)> = None;
        let mut looked = Instant::now();
        loop {
            if renamed(&free, &ours)? {
                break;
            }
            // Time in which this one did not run either, because all were paused, does not count.
            let passed = looked.elapsed().min(LOOK_MAX);
            looked = Instant::now();
            if let Some(now) = holder_of(folder, lock)? {
                match &mut seen {
                    Some((before, watched)) if *before == now => {
                        *watched += passed;
                        if *watched > stale_after && renamed(&now, &ours)? {
                            break;
                        }
                    }
                    _ => seen = Some((now, Duration::ZERO)),
                }
            }
            if began.elapsed() > WAIT_MAX {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "other writers hold the lock",
                ));
            }
            thread::sleep(PAUSE);
        }
        Ok(Self {
            ours,
            free,
            is_released: false,
        })
    }

    /// Whether nobody has taken it over.
    pub(crate) fn is_held(&self) -> io::Result<bool> {
        fs::exists(&self.ours)
    }

    /// Lets go; whether it was held until now.
    pub(crate) fn release(mut self) -> io::Result<bool> {
        self.is_released = true;
        renamed(&self.ours, &self.free)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_released {
            // Who cannot let go is found to be gone.
            let _ = renamed(&self.ours, &self.free);
        }
    }
}

/// Renames a file; `false` if it was not there.
fn renamed(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The name that a lock has, if somebody holds it. A listing may miss what is being renamed.
fn holder_of(folder: &Path, lock: usize) -> io::Result<Option<PathBuf>> {
    let prefix = name(lock, "");
    let is_held = |found: &str| {
        found
            .strip_prefix(&prefix)
            .is_some_and(|holder| holder != FREE)
    };
    let names = match names(folder) {
        // Others are renaming all the time.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        names => names?,
    };
    let mut names = names.iter().filter_map(|name| name.to_str());
    Ok(names
        .find(|name| is_held(name))
        .map(|name| folder.join(name)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn locks() -> (tempfile::TempDir, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("lock");
        make(&folder, &scratch.path().join("aside")).unwrap();
        (scratch, folder)
    }

    #[test]
    fn one_at_a_time_holds_a_lock() {
        let (_scratch, folder) = locks();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for writer in 0..8 {
                let (folder, inside) = (&folder, &inside);
                scope.spawn(move || {
                    for turn in 0..50 {
                        let holder = format!("{writer}-{turn}");
                        let held = Held::acquire(folder, 3, &holder).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        assert!(held.release().unwrap());
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder).unwrap().count(), LOCKS);
    }

    #[test]
    fn locks_are_made_once_and_a_second_maker_leaves_them_alone() {
        let (scratch, folder) = locks();
        let held = Held::acquire(&folder, 0, "a").unwrap();
        make(&folder, &scratch.path().join("again")).unwrap();
        assert!(held.release().unwrap());
        assert!(!scratch.path().join("again").exists());
    }

    #[test]
    fn who_is_gone_is_taken_over_by_one_and_notices() {
        let (_scratch, folder) = locks();
        let gone = Held::acquire(&folder, 1, "gone").unwrap();
        let next = Held::acquire_within(&folder, 1, "next", Duration::from_millis(20)).unwrap();
        assert!(!gone.release().unwrap(), "it did not hold it any more");
        assert!(next.release().unwrap());
    }

    #[test]
    fn a_dropped_lock_is_free() {
        let (_scratch, folder) = locks();
        drop(Held::acquire(&folder, 1, "a").unwrap());
        assert!(folder.join("1.free").exists());
    }
}
