//! A configuration folder as Kubernetes mounts one:
//!
//! ```text
//!   dunlin.toml ─► ..data/dunlin.toml      key.p8 ─► ..data/key.p8
//!   ..data ─► ..2026_01_01_00_00_00.1/     the files; replaced as a whole when one of them changes
//! ```
//!
//! The sandbox has to follow the links, which are relative and stay inside the folder, and nothing
//! there may have to be written.

use std::fs::{Permissions, create_dir_all, set_permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dunlin_cli::serve::Server;
use dunlin_tests::client::Client;
use dunlin_tests::stack::{API_KEY, Options, Stack, push_body, token};
use tokio::sync::oneshot;

use crate::kubernetes::probed;

const DATA: &str = "..2026_01_01_00_00_00.1";

/// Copies the files of `from` into `to`, and lays them out as Kubernetes does.
fn mount(from: &Path, to: &Path) -> PathBuf {
    create_dir_all(to.join(DATA)).unwrap();
    symlink(DATA, to.join("..data")).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let copy = to.join(DATA).join(file.file_name());
        std::fs::copy(file.path(), &copy).unwrap();
        set_permissions(&copy, Permissions::from_mode(0o440)).unwrap();
        let target = Path::new("..data").join(file.file_name());
        symlink(target, to.join(file.file_name())).unwrap();
    }
    for folder in [to.join(DATA), to.to_owned()] {
        set_permissions(folder, Permissions::from_mode(0o550)).unwrap();
    }
    to.join("dunlin.toml")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_arrives_though_configuration_and_key_are_links() {
    let folder = tempfile::tempdir().unwrap();
    // The simulator and the files; the service beside it has a store of its own.
    let stack = Stack::start(folder.path(), Options::default()).await;
    let outside = folder.path().join("mounted");
    create_dir_all(&outside).unwrap();
    for file in ["ca.pem", "client.pem"] {
        std::fs::copy(folder.path().join(file), outside.join(file)).unwrap();
    }
    let config = mount(&folder.path().join("config"), &outside.join("config"));
    assert!(config.is_symlink());

    let server = Server::start(&config, None).await.unwrap();
    let client = Client::new(server.address()).key(API_KEY);
    let (stop, stopped) = oneshot::channel::<()>();
    let service = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    for path in probed() {
        let deadline = Instant::now() + Duration::from_secs(60);
        while client.call("GET", &path, "").await.status != 200 {
            assert!(
                Instant::now() < deadline,
                "{path} of the manifest is never 200"
            );
            tokio::task::yield_now().await;
        }
    }
    let body = push_body(&token(1), r#"{"aps":{"alert":"from a pod"}}"#);
    let reply = client.call("POST", "/v1/push", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["accepted"], 1, "{}", reply.text());
    let _ = stop.send(());
    service.await.unwrap();
    assert_eq!(stack.simulator.journal().len(), 1);
    stack.stop().await;
    // Or else it cannot be removed.
    for folder in [outside.join("config"), outside.join("config").join(DATA)] {
        set_permissions(folder, Permissions::from_mode(0o750)).unwrap();
    }
}
