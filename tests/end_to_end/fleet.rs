//! Hosts that share a store.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use dunlin_cli::config::Config;
use dunlin_cli::serve::Server;
use dunlin_host::http_server;
use dunlin_host::store::Store;
use dunlin_tests::client::Client;
use dunlin_tests::stack::{API_KEY, Options, Stack, over_sockets, push_body, token};
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const INSTANCES: usize = 4;
const PUSHES: u32 = 400;

/// A host on a store that others have, too.
struct Host {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Host {
    fn start(stack: &Stack, store: &Store) -> Self {
        let mut config = Config::load(&stack.config_file).unwrap();
        config.host.instances = INSTANCES;
        let listener = http_server::bind(config.host.listen.literal().unwrap()).unwrap();
        let file = &stack.config_file;
        let server = Server::start_on(listener, file, config, store.clone(), None).unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop,
            running,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_with_eight_instances_use_one_provider_token() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        // Eight instances that begin at once, on whatever machine.
        timeout: Duration::from_secs(20),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    let store = Store::memory();
    let hosts = [Host::start(&stack, &store), Host::start(&stack, &store)];

    let pushes = (0..PUSHES).map(|n| {
        let address = hosts[n as usize % hosts.len()].address;
        async move {
            let body = push_body(&token(n), r#"{"aps":{"badge":1}}"#);
            let client = Client::new(address).key(API_KEY);
            client.call("POST", "/v1/push", &body).await.json()["accepted"].clone()
        }
    });
    let accepted = join_all(pushes).await;
    assert!(accepted.iter().all(|count| *count == 1), "{accepted:?}");

    let journal = stack.simulator.journal();
    assert_eq!(journal.len(), PUSHES as usize);
    let connections: BTreeSet<_> = journal.iter().map(|push| push.connection).collect();
    match over_sockets() {
        true => {
            let instances = hosts.len() * INSTANCES;
            assert!(connections.len() >= instances, "{}", connections.len());
        }
        false => assert_eq!(connections.len(), hosts.len(), "one for each host"),
    }
    let tokens: BTreeSet<_> = journal
        .iter()
        .map(|push| push.header("authorization").unwrap())
        .collect();
    assert_eq!(tokens.len(), 1, "one for the fleet");

    for Host { stop, running, .. } in hosts {
        stop.send(()).unwrap();
        running.await.unwrap();
    }
    stack.stop().await;
}
