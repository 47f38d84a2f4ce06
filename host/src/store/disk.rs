//! The bytes of the store's file, as redb reads and writes them: on disk, or as a view that is on
//! disk in what is read and in memory in what is written.
//!
//! The view is what can still be read when nothing can be written. redb writes to a file that it
//! opens, and does nothing at all any more once a write has failed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use redb::{BackendError, StorageBackend};
use rustix::fs::fstatvfs;
use rustix::process::geteuid;

use super::StoreError;

/// Bytes that a view holds at most: what redb writes to a file when it opens it is a few pages.
const VIEW_MAX_BYTES: usize = 16 * 1024 * 1024;

/// A view takes over what is written in pieces of so many bytes.
const BLOCK: usize = 4_096;

/// A file that belongs to this process, or what stands for one in a test.
pub(super) trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills `out` from `offset` on.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Cuts it, or lengthens it by zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Waits until all that was written survives a crash.
    fn sync(&self) -> io::Result<()>;
    /// Writes all of `data`.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Bytes that there is room for, if that can be said.
    fn free(&self) -> Option<u64>;
    /// Lets others have it; nothing is written after that.
    fn release(&self) {}
}

/// A file, locked until it is released or dropped.
#[derive(Debug)]
pub(super) struct OnDisk(File);

impl OnDisk {
    /// Opens or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        // It holds tokens and aliases.
        options.read(true).write(true).create(true).mode(0o600);
        let file = options.truncate(false).open(path);
        let file = file.map_err(|error| StoreError::Disk(error.to_string().into()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => Err(StoreError::Disk(error.to_string().into())),
        }
    }
}

impl Disk for OnDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn free(&self) -> Option<u64> {
        let found = fstatvfs(&self.0).ok()?;
        // The last few percent are often root's alone.
        let blocks = match geteuid().is_root() {
            true => found.f_bfree,
            false => found.f_bavail,
        };
        blocks.checked_mul(found.f_frsize)
    }

    fn release(&self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the file of the store stays locked until this process ends");
        }
    }
}

/// What redb gets that is to write to the disk.
#[derive(Debug)]
pub(super) struct Direct(pub(super) Arc<dyn Disk>);

/// What redb gets that is only to read.
#[derive(Debug)]
pub(super) struct View {
    disk: Arc<dyn Disk>,
    over: Mutex<Over>,
}

/// What was written.
#[derive(Default)]
struct Over {
    /// By their numbers.
    blocks: BTreeMap<u64, Box<[u8]>>,
    len: u64,
    /// Of the disk, what has not been cut off since.
    disk_len: u64,
}

/// Without what is in it.
impl fmt::Debug for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Over")
            .field("blocks", &self.blocks.len())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl View {
    /// The disk as it is now. What others write there later must leave alone what is in use now.
    pub(super) fn of(disk: &Arc<dyn Disk>) -> io::Result<Self> {
        let len = disk.len()?;
        let over = Over {
            blocks: BTreeMap::new(),
            len,
            disk_len: len,
        };
        Ok(Self {
            disk: Arc::clone(disk),
            over: Mutex::new(over),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Over) -> io::Result<T>) -> io::Result<T> {
        work(&mut self.over.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Over {
    /// A block as it is, zeros beyond what the disk has.
    fn block(&self, disk: &dyn Disk, number: u64) -> io::Result<Box<[u8]>> {
        if let Some(block) = self.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK].into_boxed_slice();
        let at = number.saturating_mul(BLOCK as u64);
        let there = self.disk_len.saturating_sub(at);
        let there = usize::try_from(there).unwrap_or(BLOCK).min(BLOCK);
        if let Some(part) = block.get_mut(..there).filter(|part| !part.is_empty()) {
            disk.read(at, part)?;
        }
        Ok(block)
    }

    fn write(&mut self, disk: &dyn Disk, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut at, mut rest) = (offset, data);
        while !rest.is_empty() {
            let (number, within) = place(at);
            let mut block = self.block(disk, number)?;
            let (now, later) = rest.split_at(rest.len().min(BLOCK - within));
            if let Some(part) = block.get_mut(within..within + now.len()) {
                part.copy_from_slice(now);
            }
            self.blocks.insert(number, block);
            if self.blocks.len() * BLOCK > VIEW_MAX_BYTES {
                return Err(io::Error::other("a view of a file was written to too much"));
            }
            at += now.len() as u64;
            rest = later;
        }
        self.len = self.len.max(at);
        Ok(())
    }

    fn read(&self, disk: &dyn Disk, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.is_as_on_disk(offset, out.len()) {
            return disk.read(offset, out);
        }
        let (mut at, mut rest) = (offset, out);
        while !rest.is_empty() {
            let (number, within) = place(at);
            let block = self.block(disk, number)?;
            let length = rest.len().min(BLOCK - within);
            let (now, later) = rest.split_at_mut(length);
            if let Some(part) = block.get(within..within + length) {
                now.copy_from_slice(part);
            }
            at += length as u64;
            rest = later;
        }
        Ok(())
    }

    fn is_as_on_disk(&self, offset: u64, length: usize) -> bool {
        let end = offset.saturating_add(length as u64);
        let (first, last) = (place(offset).0, place(end).0);
        end <= self.disk_len && self.blocks.range(first..=last).next().is_none()
    }

    fn set_len(&mut self, disk: &dyn Disk, len: u64) -> io::Result<()> {
        let (number, within) = place(len);
        if len < self.len {
            // What is cut off is zero when it comes back.
            if within > 0 {
                let mut block = self.block(disk, number)?;
                block.iter_mut().skip(within).for_each(|byte| *byte = 0);
                self.blocks.insert(number, block);
            }
            let gone = number + u64::from(within > 0);
            drop(self.blocks.split_off(&gone));
            self.disk_len = self.disk_len.min(len);
        }
        self.len = len;
        Ok(())
    }
}

/// The block that a byte is in, and its place there.
fn place(offset: u64) -> (u64, usize) {
    let block = BLOCK as u64;
    let within = usize::try_from(offset % block).unwrap_or_default();
    (offset / block, within)
}

/// The file is locked for the whole process, so every lock that redb asks for is there.
macro_rules! locked_already {
    () => {
        fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
            Ok(true)
        }

        fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
            Ok(())
        }
    };
}

impl StorageBackend for Direct {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    locked_already!();
}

impl StorageBackend for View {
    fn len(&self) -> io::Result<u64> {
        self.with(|over| Ok(over.len))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|over| over.read(&*self.disk, offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|over| over.set_len(&*self.disk, len))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|over| over.write(&*self.disk, offset, data))
    }

    locked_already!();
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    /// A disk in memory that can be told to fail.
    #[derive(Debug, Default)]
    pub(crate) struct Fake {
        bytes: Mutex<Vec<u8>>,
        /// What would change the disk fails once so many such calls have been made.
        fails_after: Mutex<Option<u64>>,
        changes: AtomicU64,
        /// Whether it knows how much room it has.
        knows_room: AtomicBool,
        /// Whether nothing is read, and that somebody waits for that to be over.
        is_held: Mutex<bool>,
        released: Condvar,
    }

    impl Fake {
        pub(crate) fn of(bytes: Vec<u8>) -> Arc<Self> {
            Arc::new(Self {
                bytes: Mutex::new(bytes),
                ..Self::default()
            })
        }

        /// From the `calls`th call on, nothing is changed any more.
        pub(crate) fn fail_after(&self, calls: u64) {
            let calls = self.changes.load(Ordering::SeqCst) + calls;
            *self.fails_after.lock().unwrap() = Some(calls);
        }

        pub(crate) fn mend(&self) {
            *self.fails_after.lock().unwrap() = None;
        }

        pub(crate) fn know_room(&self) {
            self.knows_room.store(true, Ordering::SeqCst);
        }

        /// From now on whoever reads waits.
        pub(crate) fn hold_reads(&self) {
            *self.is_held.lock().unwrap() = true;
        }

        pub(crate) fn release_reads(&self) {
            *self.is_held.lock().unwrap() = false;
            self.released.notify_all();
        }

        /// Calls that changed, or would have changed, the disk.
        pub(crate) fn changes(&self) -> u64 {
            self.changes.load(Ordering::SeqCst)
        }

        pub(crate) fn bytes(&self) -> Vec<u8> {
            self.bytes.lock().unwrap().clone()
        }

        fn is_failing(&self) -> bool {
            let made = self.changes.load(Ordering::SeqCst);
            self.fails_after
                .lock()
                .unwrap()
                .is_some_and(|at| made >= at)
        }

        fn change<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
            let fails = self.is_failing();
            self.changes.fetch_add(1, Ordering::SeqCst);
            if fails {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(work(&mut self.bytes.lock().unwrap()))
        }
    }

    impl Disk for Fake {
        fn len(&self) -> io::Result<u64> {
            Ok(self.bytes.lock().unwrap().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let is_held = self.is_held.lock().unwrap();
            drop(
                self.released
                    .wait_while(is_held, |is_held| *is_held)
                    .unwrap(),
            );
            let bytes = self.bytes.lock().unwrap();
            let from = usize::try_from(offset).unwrap();
            let there = bytes.get(from..from + out.len());
            out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.change(|bytes| bytes.resize(usize::try_from(len).unwrap(), 0))
        }

        fn sync(&self) -> io::Result<()> {
            self.change(|_| ())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let from = usize::try_from(offset).unwrap();
            let to = from + data.len();
            self.change(|bytes| {
                bytes.resize(bytes.len().max(to), 0);
                bytes[from..to].copy_from_slice(data);
            })
        }

        fn free(&self) -> Option<u64> {
            let room = if self.is_failing() { 0 } else { u64::MAX };
            self.knows_room.load(Ordering::SeqCst).then_some(room)
        }
    }

    fn read(view: &View, offset: u64, length: usize) -> Vec<u8> {
        let mut out = vec![9; length];
        StorageBackend::read(view, offset, &mut out).unwrap();
        out
    }

    #[test]
    fn a_view_shows_what_was_written_to_it_and_leaves_the_disk_alone() {
        let before: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
        let disk = Fake::of(before.clone());
        let shared: Arc<dyn Disk> = disk.clone();
        let view = View::of(&shared).unwrap();
        // The same in a vector, byte for byte, whatever is done.
        let mut plain = before.clone();
        let steps: [(u64, &[u8]); 5] = [
            (0, b"start"),
            (4_090, b"over an edge"),
            (9_999, b"the end and more"),
            (20_000, b"far away"),
            (4_096, &[7; 8_192]),
        ];
        for (offset, data) in steps {
            StorageBackend::write(&view, offset, data).unwrap();
            let (from, to) = (offset as usize, offset as usize + data.len());
            plain.resize(plain.len().max(to), 0);
            plain[from..to].copy_from_slice(data);
            assert_eq!(read(&view, 0, plain.len()), plain);
        }
        for len in [18_000, 5_000, 30_000, 12_288] {
            StorageBackend::set_len(&view, len).unwrap();
            plain.resize(len as usize, 0);
            assert_eq!(StorageBackend::len(&view).unwrap(), len);
            assert_eq!(read(&view, 0, plain.len()), plain, "{len}");
        }
        assert_eq!(read(&view, 4_095, 3), plain[4_095..4_098]);
        let beyond = StorageBackend::read(&view, 12_287, &mut [0; 2]).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!((disk.bytes(), disk.changes()), (before, 0));
    }

    #[test]
    fn a_view_has_a_bound() {
        let shared: Arc<dyn Disk> = Fake::of(Vec::new());
        let view = View::of(&shared).unwrap();
        let most = vec![1; VIEW_MAX_BYTES];
        StorageBackend::write(&view, 0, &most).unwrap();
        StorageBackend::write(&view, 1, &[2]).unwrap();
        assert!(StorageBackend::write(&view, VIEW_MAX_BYTES as u64, &[3]).is_err());
    }
}
