//! The file behind the store: one redb table of strings to bytes.
//!
//! redb commits by copy-on-write and two `fsync`s, so a crash at any moment leaves the last commit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Database, DatabaseError, ReadableDatabase, TableDefinition};

use super::StoreError;
use super::overlay::Value;

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("default");

/// Memory for redb's page cache, in bytes. The registry is read by key; the operating system's
/// cache does the rest.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// An open file, or one that could not be opened again.
#[derive(Debug)]
pub(super) struct Embedded {
    path: PathBuf,
    database: RwLock<Option<Database>>,
}

fn disk(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Disk(match error.into() {
        // What redb says there is for whoever calls it.
        redb::Error::PreviousIo => "it failed before; the next write opens the file again".into(),
        other => other.to_string().into(),
    })
}

impl Embedded {
    /// Opens or creates `path`, and the table in it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(disk)?;
        }
        // redb would make the file readable for everybody; it holds tokens and aliases.
        let mut options = std::fs::OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        options.open(path).map_err(disk)?;
        let database = open_database(path)?;
        Ok(Self {
            path: path.to_owned(),
            database: RwLock::new(Some(database)),
        })
    }

    /// Closes the file and opens it again. After an error of the file redb does nothing any more until
    /// that is done, also when the disk has room again.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // The lock of the file goes with it.
        *database = None;
        *database = Some(open_database(&self.path)?);
        Ok(())
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match &*database {
            Some(database) => work(database),
            None => Err(StoreError::Disk("the file is closed after an error".into())),
        }
    }

    pub(super) fn get(&self, key: &str) -> Result<Value, StoreError> {
        let values = self.get_many(std::iter::once(key))?;
        Ok(values.into_iter().next().flatten())
    }

    /// As they are at one moment, in the order of the keys.
    pub(super) fn get_many<'a>(
        &self,
        keys: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<Value>, StoreError> {
        self.with(|database| {
            let transaction = database.begin_read().map_err(disk)?;
            let table = transaction.open_table(TABLE).map_err(disk)?;
            let get = |key| {
                let found = table.get(key).map_err(disk)?;
                Ok(found.map(|value| value.value().to_vec()))
            };
            keys.map(get).collect()
        })
    }

    /// Up to `limit + 1` keys after `after`, so that the caller can tell whether there are more.
    pub(super) fn keys_after(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<BTreeSet<String>, StoreError> {
        self.with(|database| {
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

    /// Applies a batch as one transaction and waits for the disk.
    pub(super) fn commit(&self, batch: &BTreeMap<String, Value>) -> Result<(), StoreError> {
        self.with(|database| {
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
        })
    }
}

fn open_database(path: &Path) -> Result<Database, StoreError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
            error => disk(error),
        })?;
    let transaction = database.begin_write().map_err(disk)?;
    transaction.open_table(TABLE).map_err(disk)?;
    transaction.commit().map_err(disk)?;
    Ok(database)
}
