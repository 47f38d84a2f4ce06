//! What the service needs of the machine: its store, room for it, and its port.
//!
//! The store is opened for reading and closed at once, or not at all where a running service has
//! it. The port is bound and let go at once. Nothing is written.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin_host::config::StoreSettings;
use dunlin_host::listen::Listen;
use redb::{DatabaseError, ReadOnlyDatabase, StorageError};
use rustix::fs::{Access, access, statvfs};

use super::report::{Line, Severity};
use crate::client::ServiceUrl;
use crate::config::Config;
use crate::status::metrics;

/// Room on the store's volume below which somebody should look, and below which writes will soon
/// fail. Ours: a million devices are some 500 MB, and a commit needs room for the pages that it
/// replaces.
const ROOM_WARNING: u64 = 1 << 30;
const ROOM_ERROR: u64 = 64 << 20;

/// Longest wait for whoever has the port.
const PORT_PATIENCE: Duration = Duration::from_secs(2);

/// The store's file, and the room beside it.
pub(super) fn store(config: &Config) -> Vec<Line> {
    let StoreSettings::File { path } = &config.store else {
        let what =
            "in memory alone: devices, receipts and provider tokens are gone when the service ends";
        let advice = "Set kind = \"file\" under [store] unless that is meant.";
        return vec![Line::new(Severity::Note, "store", what, advice)];
    };
    let mut lines = vec![file(path)];
    lines.extend(folder(path));
    lines
}

fn file(path: &Path) -> Line {
    let shown = path.display();
    let line = |severity, what: String, advice| Line::new(severity, "store", what, advice);
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let what = format!("{shown}: not there yet; it is made at the first start");
            return Line::ok("store", what);
        }
        Err(error) => {
            let what = format!("{shown}: expected a file that can be read, got {error}");
            return line(Severity::Error, what, RIGHTS);
        }
        Ok(metadata) if metadata.is_dir() => {
            let what = format!("{shown}: expected a file, got a folder");
            return line(Severity::Error, what, ANOTHER_PATH);
        }
        Ok(metadata) if metadata.len() == 0 => {
            return Line::ok(
                "store",
                format!("{shown}: empty; it is filled at the first start"),
            );
        }
        Ok(_) => {}
    }
    if access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
        let what = format!("{shown}: expected a file that can be written, got one that cannot");
        return line(Severity::Error, what, RIGHTS);
    }
    match ReadOnlyDatabase::open(path) {
        Ok(_) => Line::ok("store", format!("{shown}: can be opened")),
        Err(DatabaseError::DatabaseAlreadyOpen) => {
            Line::ok("store", format!("{shown}: in use by a running service"))
        }
        Err(DatabaseError::RepairAborted) => {
            let what = format!("{shown}: was not closed; it is put in order at the next start");
            Line::ok("store", what)
        }
        Err(DatabaseError::UpgradeRequired(version)) => {
            let what =
                format!("{shown}: expected a file of this version, got one of format {version}");
            line(Severity::Error, what, ANOTHER_PATH)
        }
        Err(error @ DatabaseError::Storage(StorageError::Io(_))) => {
            let what = format!("{shown}: expected a store, got {error}");
            line(Severity::Error, what, ANOTHER_PATH)
        }
        Err(error) => {
            let what = format!("{shown}: expected a store, got {error}");
            line(Severity::Error, what, RESTORE)
        }
    }
}

/// The folder that the store is in, or will be: whether it can be written, and how much room it
/// has.
fn folder(path: &Path) -> Vec<Line> {
    let Some(folder) = nearest(path) else {
        return Vec::new();
    };
    let shown = folder.display();
    let mut lines = Vec::new();
    if access(&folder, Access::WRITE_OK | Access::EXEC_OK).is_err() && !path.exists() {
        let what = format!(
            "{shown}: expected a folder where the store can be made, got one that cannot be written"
        );
        lines.push(Line::new(Severity::Error, "store", what, RIGHTS));
    }
    lines.push(match statvfs(&folder) {
        Ok(volume) => room(&folder, volume.f_bavail.saturating_mul(volume.f_frsize)),
        Err(error) => {
            let what = format!("{shown}: not known: {error}");
            Line::new(Severity::Note, "room", what, "Look with df.")
        }
    });
    lines
}

/// The folder of a path that is there; the file's own, unless that is to be made, too.
fn nearest(path: &Path) -> Option<PathBuf> {
    let parents = path.ancestors().skip(1);
    let mut parents = parents.map(|parent| match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    });
    parents.find(|parent| parent.is_dir()).map(Path::to_owned)
}

fn room(folder: &Path, free: u64) -> Line {
    let what = format!("{} MiB free in {}", free >> 20, folder.display());
    let short = |severity, least: u64| {
        let what = format!("expected at least {} MiB free, got {what}", least >> 20);
        Line::new(
            severity,
            "room",
            what,
            "Make room on this volume, or put the store on another by path under [store].",
        )
    };
    match free {
        free if free < ROOM_ERROR => short(Severity::Error, ROOM_ERROR),
        free if free < ROOM_WARNING => short(Severity::Warning, ROOM_WARNING),
        _ => Line::ok("room", what),
    }
}

/// Whether the service can listen where it is to, or does.
pub(super) async fn port(listen: &Listen) -> Line {
    let subject = format!("listen {listen}");
    let failed = |what: String, advice| Line::new(Severity::Error, &subject, what, advice);
    if listen.port() == 0 {
        return Line::ok(&subject, "any port that is free");
    }
    let bound = listen.address().await.and_then(TcpListener::bind);
    match bound {
        Ok(_) => Line::ok(&subject, "free"),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let service = ServiceUrl::from(listen.clone());
            match metrics(&service, PORT_PATIENCE).await {
                Ok(_) => Line::ok(&subject, "a running dunlin has it"),
                Err(_) => {
                    let what =
                        "expected a free port or a running dunlin, got another program".to_owned();
                    failed(
                        what,
                        "End that program, or set another port by listen under [host].",
                    )
                }
            }
        }
        Err(error) => {
            let what = format!("expected an address to listen on, got {error}");
            failed(
                what,
                "Set listen under [host] to an address of this machine and a port that this user \
                 may have.",
            )
        }
    }
}

const RIGHTS: &str = "Let the user that runs the service read and write it.";
const ANOTHER_PATH: &str = "\
    Set path under [store] to a file of dunlin's, or to one that is not there yet.";
const RESTORE: &str = "Put a copy from your backups in its place.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_an_error_before_writes_fail() {
        let severity = |free| room(Path::new("/a"), free).severity;
        assert_eq!(severity(0), Severity::Error);
        assert_eq!(severity(ROOM_ERROR - 1), Severity::Error);
        assert_eq!(severity(ROOM_ERROR), Severity::Warning);
        assert_eq!(severity(ROOM_WARNING - 1), Severity::Warning);
        assert_eq!(severity(ROOM_WARNING), Severity::Ok);
        let line = room(Path::new("/a"), 3 << 20);
        assert_eq!(
            line.what,
            "expected at least 64 MiB free, got 3 MiB free in /a"
        );
    }

    #[test]
    fn a_store_is_looked_at_and_left_as_it_is() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("new/dunlin.redb");
        let said = |path: &Path| {
            let line = file(path);
            (line.severity, line.what)
        };
        let (severity, what) = said(&path);
        assert_eq!(severity, Severity::Ok, "{what}");
        assert!(
            !path.exists() && !path.parent().unwrap().exists(),
            "nothing is made"
        );
        assert_eq!(nearest(&path).as_deref(), Some(scratch.path()));

        let store = dunlin_host::store::Store::open(&path).unwrap();
        store.put("key", Some(b"value".to_vec())).unwrap();
        let (severity, what) = said(&path);
        assert_eq!(severity, Severity::Ok);
        assert!(what.ends_with("in use by a running service"), "{what}");
        store.close();
        drop(store);
        let before = std::fs::read(&path).unwrap();
        let (severity, what) = said(&path);
        assert_eq!(severity, Severity::Ok);
        assert!(what.ends_with("can be opened"), "{what}");
        assert!(std::fs::read(&path).unwrap() == before);

        std::fs::write(&path, vec![7; 100_000]).unwrap();
        let (severity, what) = said(&path);
        assert_eq!(severity, Severity::Error, "{what}");
        let (severity, what) = said(scratch.path());
        assert_eq!(severity, Severity::Error);
        assert!(what.ends_with("got a folder"), "{what}");
        std::fs::write(&path, "").unwrap();
        assert_eq!(
            said(&path).0,
            Severity::Ok,
            "as a start that was cut off leaves it"
        );
    }

    #[tokio::test]
    async fn a_port_is_free_or_a_dunlin_has_it_or_somebody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        for (body, severity, what) in [
            (
                "dunlin_requests_total 0\n",
                Severity::Ok,
                "a running dunlin has it",
            ),
            ("<html>", Severity::Error, "got another program"),
        ] {
            let answering = async {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1_024];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                let length = body.len();
                let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(reply.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            };
            let listen = address.into();
            let (line, ()) = tokio::join!(port(&listen), answering);
            assert_eq!(line.severity, severity, "{line:?}");
            assert!(line.what.ends_with(what), "{line:?}");
        }
        let any = port(&"127.0.0.1:0".parse().unwrap()).await;
        assert_eq!(any.severity, Severity::Ok);
        // RFC 5737: no machine has it.
        let foreign = port(&"192.0.2.1:9".parse().unwrap()).await;
        assert_eq!(foreign.severity, Severity::Error, "{foreign:?}");
    }
}
