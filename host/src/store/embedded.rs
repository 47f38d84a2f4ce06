//! The file behind the store: one redb table of strings to bytes.
//!
//! redb commits by copy-on-write and two `fsync`s, so a crash at any moment leaves the last commit.
//!
//! ```text
//!   on disk ── a commit fails, or a read ──► view: read from the file, written to memory only
//!      ▲                                        │
//!      └── the file was opened again and ◄──────┘ each further commit, which is read from the view
//!          has taken the commit                   meanwhile; a new view if it fails
//! ```
//!
//! After an error redb does nothing any more, also when the disk has room again. So the file is
//! opened anew; and since redb writes to a file that it opens, a view of it is, as long as the
//! disk takes nothing. A commit never touches what the last one has left, so the view stays good
//! while another is tried. It does not outlive the next, which may use again what this one has
//! freed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use dunlin::registry::VERSION;
use redb::{
    Database, ReadableDatabase, ReadableTableMetadata as _, StorageBackend, TableDefinition,
    TableError,
};

use super::disk::{Direct, Disk, OnDisk, View};
use super::overlay::Value;
use super::{Format, StoreError};
use crate::files::make_private_folder;

pub(super) const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("default");

/// Of what is in the other table: the format of the records. A file without it is of a time before
/// there was more than one.
pub(super) const FORMAT: TableDefinition<'_, (), u8> = TableDefinition::new("format");

/// The format of files that do not say theirs.
pub(super) const OLDER: u8 = 1;

/// Memory for redb's page cache, in bytes. The registry is read by key; the operating system's
/// cache does the rest.
pub(super) const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// A file, or what stands for one, open in one way or the other.
#[derive(Debug)]
pub(super) struct Embedded {
    disk: Arc<dyn Disk>,
    open: RwLock<OpenDatabase>,
    /// Held by whoever opens a view, so that only one does.
    rescue: Mutex<()>,
}

#[derive(Debug)]
struct OpenDatabase {
    /// `None` after the store was closed.
    database: Option<Database>,
    /// Whether what is written to it is on disk.
    is_on_disk: bool,
    /// Of the way in which it is open.
    number: u64,
}

impl OpenDatabase {
    fn database(&self) -> Result<&Database, StoreError> {
        let closed = || StoreError::Disk("it is closed".into());
        self.database.as_ref().ok_or_else(closed)
    }
}

pub(super) fn disk(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Disk(match error.into() {
        // What redb says there is for whoever calls it.
        redb::Error::PreviousIo => "it failed before".into(),
        redb::Error::Io(error) => error.to_string().into(),
        other => other.to_string().into(),
    })
}

impl Embedded {
    /// Opens or creates `path`, and the table in it. If it can only be read, it is open all the
    /// same, and why it cannot be written is returned beside it.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<StoreError>), StoreError> {
        if let Some(folder) = path.parent() {
            make_private_folder(folder)
                .map_err(|error| StoreError::Disk(error.to_string().into()))?;
        }
        Self::on(Arc::new(OnDisk::open(path)?))
    }

    /// The same on a disk of which nobody else has anything.
    pub(super) fn on(disk: Arc<dyn Disk>) -> Result<(Self, Option<StoreError>), StoreError> {
        let (database, failed) = match open_on(Direct(Arc::clone(&disk))) {
            Ok(database) => (database, None),
            Err(error) => match open_view(&disk) {
                // A file without anything in it is no store that could be read.
                Ok(database) if disk.len().is_ok_and(|len| len > 0) => (database, Some(error)),
                _ => return Err(error),
            },
        };
        let open = OpenDatabase {
            database: Some(database),
            is_on_disk: failed.is_none(),
            number: 0,
        };
        let embedded = Self {
            disk,
            open: RwLock::new(open),
            rescue: Mutex::default(),
        };
        Ok((embedded, failed))
    }

    /// Lets another process have the file, whoever may still have this. What is read from now on is
    /// an error.
    pub(super) fn close(&self) {
        // redb writes as it is dropped.
        let closed = self
            .open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .database
            .take();
        drop(closed);
        self.disk.release();
    }

    /// Bytes that the disk has room for, if that is known.
    pub(super) fn free(&self) -> Option<u64> {
        self.disk.free()
    }

    fn opened(&self) -> RwLockReadGuard<'_, OpenDatabase> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens it in another way; whoever reads is waited for.
    fn replace(&self, database: Database, is_on_disk: bool) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let number = open.number + 1;
        *open = OpenDatabase {
            database: Some(database),
            is_on_disk,
            number,
        };
    }

    /// After an error of what was open as `number`: a view takes its place, unless somebody else
    /// has seen to that.
    fn rescue(&self, number: u64) -> Result<(), StoreError> {
        let _one: MutexGuard<'_, ()> = self.rescue.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_on_disk, newest) = {
            let open = self.opened();
            open.database()?;
            (open.is_on_disk, open.number)
        };
        if newest != number {
            return Ok(());
        }
        if !is_on_disk {
            return Err(StoreError::Disk("it cannot be read either".into()));
        }
        self.replace(open_view(&self.disk)?, false);
        Ok(())
    }

    /// Reads; once more, from a view, if the file has had an error.
    fn read<T>(&self, work: impl Fn(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let (result, number) = {
            let open = self.opened();
            (open.database().and_then(&work), open.number)
        };
        match result {
            Err(_) if self.rescue(number).is_ok() => self.opened().database().and_then(work),
            result => result,
        }
    }

    /// The first of these, as they are at one moment, in the order of the keys: all of them, or as
    /// many until they have `most` bytes together.
    pub(super) fn get_first(&self, keys: &[&str], most: usize) -> Result<Vec<Value>, StoreError> {
        self.read(|database| {
            let transaction = database.begin_read().map_err(disk)?;
            let table = transaction.open_table(TABLE).map_err(disk)?;
            let mut values = Vec::with_capacity(keys.len());
            let mut bytes = 0;
            for key in keys {
                if bytes > most {
                    break;
                }
                let found = table.get(key).map_err(disk)?;
                let value = found.map(|value| value.value().to_vec());
                bytes += value.as_ref().map_or(0, Vec::len);
                values.push(value);
            }
            Ok(values)
        })
    }

    /// Up to `limit + 1` keys after `after`, so that the caller can tell whether there are more.
    pub(super) fn keys_after(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<BTreeSet<String>, StoreError> {
        self.read(|database| {
            let transaction = database.begin_read().map_err(disk)?;
            let table = transaction.open_table(TABLE).map_err(disk)?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let range = table
                .range::<&str>((from, Bound::Unbounded))
                .map_err(disk)?;
            range
                .take(limit + 1)
                .map(|entry| entry.map(|(key, _)| key.value().to_owned()).map_err(disk))
                .collect()
        })
    }

    /// Applies a batch as one transaction and waits for the disk. What was there before can be
    /// read all the while, and afterwards, too, if it fails.
    pub(super) fn commit(&self, batch: &BTreeMap<String, Value>) -> Result<(), StoreError> {
        let on_disk = {
            let open = self.opened();
            open.is_on_disk
                .then(|| (open.database().and_then(|it| put(it, batch)), open.number))
        };
        if let Some((result, number)) = on_disk {
            if result.is_err() {
                // What then cannot be read says so itself.
                let _ = self.rescue(number);
            }
            return result;
        }
        let attempt = open_on(Direct(Arc::clone(&self.disk)));
        let attempt = attempt.and_then(|database| put(&database, batch).map(|()| database));
        match attempt {
            Ok(database) => {
                self.replace(database, true);
                Ok(())
            }
            Err(error) => {
                // The next attempt may use again what this one has freed.
                if let Ok(view) = open_view(&self.disk) {
                    self.replace(view, false);
                }
                Err(error)
            }
        }
    }
}

fn put(database: &Database, batch: &BTreeMap<String, Value>) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(disk)?;
    {
        let mut table = transaction.open_table(TABLE).map_err(disk)?;
        for (key, value) in batch {
            match value {
                Some(value) => table.insert(key.as_str(), value.as_slice()).map(drop),
                None => table.remove(key.as_str()).map(drop),
            }
            .map_err(disk)?;
        }
    }
    transaction.commit().map_err(disk)
}

fn open_view(disk: &Arc<dyn Disk>) -> Result<Database, StoreError> {
    let view = View::of(disk).map_err(|error| StoreError::Disk(error.to_string().into()))?;
    open_on(view)
}

pub(super) fn open_on(backend: impl StorageBackend) -> Result<Database, StoreError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
        .map_err(disk)?;
    match format(&database)? {
        Some(VERSION) => {}
        None => {
            let transaction = database.begin_write().map_err(disk)?;
            transaction.open_table(TABLE).map_err(disk)?;
            let mut format = transaction.open_table(FORMAT).map_err(disk)?;
            format.insert((), VERSION).map_err(disk)?;
            drop(format);
            transaction.commit().map_err(disk)?;
        }
        Some(OLDER) => return Err(StoreError::Format(Format::Older)),
        Some(later) => return Err(StoreError::Format(Format::Later(later))),
    }
    Ok(database)
}

/// The format of the records; `None` where there are none, and no format either.
pub(super) fn format(database: &Database) -> Result<Option<u8>, StoreError> {
    let transaction = database.begin_read().map_err(disk)?;
    match transaction.open_table(FORMAT) {
        Ok(table) => {
            let found = table.get(()).map_err(disk)?;
            return Ok(found.map(|format| format.value()));
        }
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(disk(error)),
    }
    match transaction.open_table(TABLE) {
        Ok(table) => {
            let is_empty = table.is_empty().map_err(disk)?;
            Ok((!is_empty).then_some(OLDER))
        }
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(disk(error)),
    }
}
