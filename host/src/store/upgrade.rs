//! A store whose records an earlier version wrote becomes one that this version reads.
//!
//! ```text
//!   FILE ──(each value, by dunlin::registry)──► FILE.upgrading ──fsync──► FILE, in one step
//!     └────────────────── a second name ──────► FILE.version-1
//! ```
//!
//! A crash at any moment leaves FILE as it was, or upgraded. Nobody else has it meanwhile. It takes
//! the room of both on the disk, and little memory: [`VALUES_AT_ONCE`] values at a time.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin::registry::{Failure, Swap, Swapped, Upgraded, VERSION, Values, load, upgraded};
use futures_util::FutureExt as _;
use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    Table,
};

use super::disk::{Direct, Disk, OnDisk};
use super::embedded::{CACHE_BYTES, OLDER, TABLE, disk, format, open_on};
use super::{Format, StoreError};

/// Values that are changed in one transaction.
const VALUES_AT_ONCE: usize = 10_000;

/// What an upgrade has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpgradeReport {
    /// Records of the registry.
    pub records: u64,
    /// Other values.
    pub others: u64,
    /// Records that could not be read, by the earlier version either, and were left out.
    pub unreadable: u64,
}

/// Upgrades the store in a file; `None` if it is one that this version reads. `progress` is told
/// now and then how many values are done, of how many.
///
/// # Errors
/// If another process has the file, if it is not there or no store, or if the disk fails. The file
/// is what it was then.
pub fn upgrade(
    path: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Option<UpgradeReport>, StoreError> {
    if !path.exists() {
        return Err(StoreError::Disk("there is no such file".into()));
    }
    let file: Arc<dyn Disk> = Arc::new(OnDisk::open(path)?);
    let old = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(Direct(file))
        .map_err(disk)?;
    match format(&old)? {
        Some(OLDER) => {}
        None | Some(VERSION) => return Ok(None),
        Some(later) => return Err(StoreError::Format(Format::Later(later))),
    }
    let upgrading = beside(path, ".upgrading");
    let carried = remove_if_there(&upgrading).map_err(io_error);
    let carried = carried.and_then(|()| carry_over(&old, &upgrading, &mut progress));
    let placed = carried.and_then(|report| {
        put_in_place(path, &upgrading).map_err(io_error)?;
        Ok(Some(report))
    });
    if placed.is_err() {
        // What has failed is what is to be told.
        let _ = remove_if_there(&upgrading);
    }
    placed
}

/// Where the file is kept that was upgraded.
pub fn kept(path: &Path) -> PathBuf {
    beside(path, ".version-1")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

fn io_error(error: io::Error) -> StoreError {
    StoreError::Disk(error.to_string().into())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Gives the old file its other name, and the new one its place.
fn put_in_place(path: &Path, upgrading: &Path) -> io::Result<()> {
    let kept = kept(path);
    // One of an upgrade that was cut short behind this is the same file.
    remove_if_there(&kept)?;
    fs::hard_link(path, &kept)?;
    fs::rename(upgrading, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Makes a new file of all that is in the old one.
fn carry_over(
    old: &Database,
    path: &Path,
    progress: &mut impl FnMut(u64, u64),
) -> Result<UpgradeReport, StoreError> {
    let new = open_on(Direct(Arc::new(OnDisk::open(path)?)))?;
    let reading = old.begin_read().map_err(disk)?;
    let table = reading.open_table(TABLE).map_err(disk)?;
    let all = table.len().map_err(disk)?;
    let mut report = UpgradeReport::default();
    let (mut done, mut last) = (0, None::<String>);
    loop {
        let from = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = table.range::<&str>((from, Bound::Unbounded));
        let mut some = Vec::with_capacity(VALUES_AT_ONCE);
        for entry in range.map_err(disk)?.take(VALUES_AT_ONCE) {
            let (key, value) = entry.map_err(disk)?;
            some.push((key.value().to_owned(), value.value().to_vec()));
        }
        let mut transaction = new.begin_write().map_err(disk)?;
        let is_last = some.len() < VALUES_AT_ONCE;
        if !is_last {
            // What counts is the last one: until then the file is nobody's.
            let durability = transaction.set_durability(Durability::None);
            durability.map_err(|error| StoreError::Disk(error.to_string().into()))?;
        }
        let loading = Loading(RefCell::new(transaction.open_table(TABLE).map_err(disk)?));
        for (key, value) in &some {
            loading.take(key, value, &mut report)?;
        }
        drop(loading);
        transaction.commit().map_err(disk)?;
        done += u64::try_from(some.len()).unwrap_or(u64::MAX);
        progress(done, all);
        match some.pop() {
            Some((key, _)) if !is_last => last = Some(key),
            _ => return Ok(report),
        }
    }
}

/// The new store, as the registry sees it.
struct Loading<'a>(RefCell<Table<'a, &'static str, &'static [u8]>>);

impl Loading<'_> {
    fn take(&self, key: &str, value: &[u8], report: &mut UpgradeReport) -> Result<(), StoreError> {
        match upgraded(key, value) {
            Ok(Upgraded::Nothing) => {}
            Ok(Upgraded::Value(value)) => {
                self.put(key, Some(&value))?;
                report.others += 1;
            }
            Ok(Upgraded::Record(record)) => {
                // Nothing in it waits.
                let loaded = load(self, &record).now_or_never();
                match loaded.unwrap_or(Err(Failure::Contended)) {
                    Ok(()) => report.records += 1,
                    Err(Failure::Store(error)) => return Err(error),
                    Err(failure) => return Err(StoreError::Disk(failure.to_string().into())),
                }
            }
            Err(error) => {
                report.unreadable += 1;
                tracing::warn!(%error, "a record was left out");
            }
        }
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.0.borrow();
        let found = table.get(key).map_err(disk)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn put(&self, key: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
        let mut table = self.0.borrow_mut();
        match value {
            Some(value) => table.insert(key, value).map(drop),
            None => table.remove(key).map(drop),
        }
        .map_err(disk)
    }
}

impl Values for Loading<'_> {
    type Error = StoreError;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, StoreError> {
        let swap = |Swap { key, expected, new }: Swap| {
            let found = self.get(&key)?;
            if found.as_deref().unwrap_or_default() != expected.as_deref().unwrap_or_default() {
                return Ok(Swapped::Lost(found));
            }
            self.put(&key, new.as_deref())?;
            Ok(Swapped::Done)
        };
        swaps.into_iter().map(swap).collect()
    }
}

#[cfg(test)]
mod tests;
