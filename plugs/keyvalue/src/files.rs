//! The store as a folder: one file for each key.
//!
//! ```text
//!   <folder>/3fa/3fa0…c1     the key with this SHA-256, and its value
//!   <folder>/new/…           what is being written
//!   <folder>/lock/…          who may replace a file
//! ```
//!
//! A value is written aside and flushed; then, under a lock, compared with what is there and
//! renamed over it; then the folder is flushed. So a reader needs no lock, a crash at any moment
//! leaves the value before or the new one, and a compare-and-swap holds between all instances and
//! processes that have the folder (as far as `lock.rs` goes). A write has survived a crash when it
//! returns.
//!
//! Why not the library that the host uses: redb goes by a lock of its file to keep a second process
//! out. WASI has none, and `wasmtime serve` makes as many instances as it likes, and drops them
//! where they stand.
//!
//! Limits: [`KEY_MAX_BYTES`](crate::KEY_MAX_BYTES) and [`VALUE_MAX_BYTES`](crate::VALUE_MAX_BYTES);
//! a file, which mostly is a block of the disk, for each key; 4,096 folders, so that some millions
//! of keys are bearable. The whole instance waits while a write is flushed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::listing::names;
use crate::lock::{self, LOCKS};
use crate::record::{self, KEY_PART_BYTES, RECORD_MAX_BYTES};
use crate::{Backend, Page, PlugError, Swap, Value, is_same};

/// How long what a crash has left in `new` is kept.
pub const LEFT_FOR: Duration = Duration::from_mins(10);

/// A listing's page is full when it has so many keys; it ends with a folder, so it may have more.
const PAGE_KEYS: usize = 256;

/// Of the hash, in hexadecimal digits: what a folder is named.
const SHARD_DIGITS: usize = 3;

/// Where files are made.
const NEW: &str = "new";

/// Where the locks are.
const LOCK: &str = "lock";

/// An open folder.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// Tells this instance from others.
    instance: u64,
    /// Names given so far.
    named: Cell<u64>,
    /// Folders that were there before and are durable for certain. At most 4,096.
    synced: RefCell<BTreeSet<PathBuf>>,
}

/// Where a key is.
struct KeyPaths {
    shard: PathBuf,
    file: PathBuf,
    lock: usize,
}

/// What is to be there for something else to take its place.
enum Expected<'a> {
    Anything,
    Value(Option<&'a [u8]>),
}

impl Expected<'_> {
    /// What is there instead, if it is something else.
    fn lost(&self, key: &str, place: &KeyPaths) -> Result<Option<Swap>, PlugError> {
        let Self::Value(expected) = self else {
            return Ok(None);
        };
        let found = read(key, &place.file)?;
        Ok((!is_same(found.as_deref(), *expected)).then_some(Swap::Lost(found)))
    }
}

impl Files {
    /// Opens a folder, and makes it if it is not there. Clears away what crashes before `now` have
    /// left.
    ///
    /// # Errors
    /// If it cannot be written to.
    pub fn open(folder: &Path, now: SystemTime) -> Result<Self, PlugError> {
        let files = Self {
            folder: folder.to_owned(),
            instance: RandomState::new().build_hasher().finish(),
            synced: RefCell::default(),
            named: Cell::new(0),
        };
        files.prepare(now).map_err(|error| {
            PlugError::new(format_args!("the folder {}: {error}", folder.display()))
        })?;
        Ok(files)
    }

    fn prepare(&self, now: SystemTime) -> io::Result<()> {
        let new = self.folder.join(NEW);
        fs::create_dir_all(&new)?;
        for name in names(&new)? {
            clear_away(&new.join(name), now);
        }
        lock::make(&self.folder.join(LOCK), &new.join(self.new_name()))?;
        sync(&self.folder)
    }

    /// A name that nobody has used.
    fn new_name(&self) -> String {
        let count = self.named.get();
        self.named.set(count.wrapping_add(1));
        format!("{:016x}-{count:x}", self.instance)
    }

    fn place(&self, key: &str) -> KeyPaths {
        let hash = Sha256::digest(key);
        let lock = usize::from(hash.first().copied().unwrap_or_default()) % LOCKS;
        let name: String = hash
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .filter_map(|digit| char::from_digit(u32::from(digit), 16))
            .collect();
        let shard = self
            .folder
            .join(name.get(..SHARD_DIGITS).unwrap_or_default());
        let file = shard.join(name);
        KeyPaths { shard, file, lock }
    }

    /// Puts a value (`None` removes it) in the place of what is expected. Gives what is there
    /// instead, if it is something else.
    fn replace(
        &self,
        key: &str,
        expected: &Expected<'_>,
        value: Option<&[u8]>,
    ) -> Result<Swap, PlugError> {
        let place = self.place(key);
        // What is lost already need not be written.
        if let Some(lost) = expected.lost(key, &place)? {
            return Ok(lost);
        }
        let aside = match value {
            Some(value) => Some(
                self.write_aside(&record::encode(key, value))
                    .map_err(disk)?,
            ),
            None => None,
        };
        let replaced = self.replace_by(key, &place, expected, aside.as_deref());
        if let Some(aside) = aside.filter(|_| !matches!(replaced, Ok(Swap::Done))) {
            // What stays is cleared away later.
            let _ = fs::remove_file(aside);
        }
        replaced
    }

    fn replace_by(
        &self,
        key: &str,
        place: &KeyPaths,
        expected: &Expected<'_>,
        aside: Option<&Path>,
    ) -> Result<Swap, PlugError> {
        if aside.is_some() {
            self.make_shard(&place.shard).map_err(disk)?;
        }
        let locks = self.folder.join(LOCK);
        let lock = lock::Held::acquire(&locks, place.lock, &self.new_name()).map_err(disk)?;
        if let Some(lost) = expected.lost(key, place)? {
            return Ok(lost);
        }
        if !lock.is_held().map_err(disk)? {
            return Err(taken_over());
        }
        match aside {
            Some(aside) => fs::rename(aside, &place.file),
            None => removed(&place.file),
        }
        .map_err(disk)?;
        if !lock.release().map_err(disk)? {
            return Err(taken_over());
        }
        if fs::exists(&place.shard).map_err(disk)? {
            sync(&place.shard).map_err(disk)?;
        }
        Ok(Swap::Done)
    }

    fn write_aside(&self, record: &[u8]) -> io::Result<PathBuf> {
        let path = self.folder.join(NEW).join(self.new_name());
        let mut file = File::create_new(&path)?;
        let written = file.write_all(record).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // A disk that is full gets no fuller.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(path)
    }

    fn make_shard(&self, shard: &Path) -> io::Result<()> {
        match fs::create_dir(shard) {
            Ok(()) => sync(&self.folder),
            // Whoever made it may have gone before it was durable.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if !self.synced.borrow().contains(shard) {
                    sync(&self.folder)?;
                    self.synced.borrow_mut().insert(shard.to_owned());
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Names of the folders with keys, in order.
    fn shards(&self) -> io::Result<Vec<String>> {
        let mut shards = Vec::new();
        for name in names(&self.folder)? {
            let is_shard = |name: &&str| {
                name.len() == SHARD_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            shards.extend(name.to_str().filter(is_shard).map(str::to_owned));
        }
        shards.sort();
        Ok(shards)
    }

    /// The keys in a folder. One that is replaced meanwhile may come twice or be missing.
    fn keys_in(&self, shard: &str) -> io::Result<Vec<String>> {
        let mut keys = Vec::new();
        let folder = self.folder.join(shard);
        for name in names(&folder)? {
            let head = match read_at_most(&folder.join(name), KEY_PART_BYTES) {
                Ok(head) => head,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            keys.extend(record::decode_key(&head).map(str::to_owned));
        }
        Ok(keys)
    }
}

impl Backend for Files {
    fn get(&self, key: &str) -> Result<Value, PlugError> {
        read(key, &self.place(key).file)
    }

    fn put(&self, key: &str, value: Option<&[u8]>) -> Result<(), PlugError> {
        self.replace(key, &Expected::Anything, value).map(drop)
    }

    fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<Swap, PlugError> {
        self.replace(key, &Expected::Value(expected), value)
    }

    /// The cursor is the last folder of the page before.
    fn list(&self, after: Option<&str>) -> Result<Page, PlugError> {
        let mut page = Page::default();
        let shards = self.shards().map_err(disk)?;
        let mut left = shards
            .iter()
            .filter(|shard| after.is_none_or(|after| shard.as_str() > after))
            .peekable();
        while let Some(shard) = left.next() {
            page.keys.extend(self.keys_in(shard).map_err(disk)?);
            if page.keys.len() >= PAGE_KEYS && left.peek().is_some() {
                page.next = Some(shard.clone());
                break;
            }
        }
        Ok(page)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
fn disk(error: io::Error) -> PlugError {
    PlugError::new(format_args!("the store's folder: {error}"))
}

fn taken_over() -> PlugError {
    PlugError::new("too slow: another writer took over")
}

/// The value in a key's file, if there is one.
fn read(key: &str, file: &Path) -> Result<Option<Vec<u8>>, PlugError> {
    match read_at_most(file, RECORD_MAX_BYTES) {
        Ok(bytes) => match record::decode(&bytes, key) {
            Some(value) => Ok(Some(value)),
            None => Err(PlugError::new(format_args!(
                "{}: expected a whole record, got a damaged one",
                file.display()
            ))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk(error)),
    }
}

fn read_at_most(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Removes what was made aside and is still there long after. Another instance may be faster.
fn clear_away(left: &Path, now: SystemTime) {
    let Ok(about) = fs::metadata(left) else {
        return;
    };
    let is_left = |made: SystemTime| now.duration_since(made).is_ok_and(|age| age > LEFT_FOR);
    if about.modified().is_ok_and(is_left) {
        let _ = match about.is_dir() {
            true => fs::remove_dir_all(left),
            false => fs::remove_file(left),
        };
    }
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Makes what was renamed, made or removed in a folder survive a crash.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
