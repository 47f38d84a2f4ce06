//! An instance of the service with all that it stands on, asked as clients ask it.

use std::rc::Rc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{TestPlatform, TestSender, TestStore, rejected};
use crate::api::Reply;
use crate::auth::SigningKey;
use crate::config::Settings;
use crate::environment::Environment;
use crate::notification::{DeviceToken, Topic};
use crate::provider::Outcome;
use crate::registry::{Alias, DeviceRecord, DeviceRef, Registration, device};
use crate::service::{App, Configured, Platform as _, Process, RequestHead, Runtime, answer};

/// The app that every test has.
pub(in crate::service) const APP: &str = "com.example.app";

/// An app of somebody else.
pub(in crate::service) const OTHER: &str = "com.other.app";

/// The API key of each test.
pub(super) const SECRET: &str = "secret";

/// What the tests stand on.
pub(in crate::service) struct OfTests;

impl Runtime for OfTests {
    type Platform = TestPlatform;
    type Store = TestStore;
    type Sender = TestSender;
}

/// An instance, and what it stands on.
pub(in crate::service) struct Desk {
    pub(in crate::service) app: Rc<App<OfTests>>,
    pub(in crate::service) platform: TestPlatform,
    pub(in crate::service) store: TestStore,
    pub(in crate::service) sender: TestSender,
    config: String,
}

/// A configuration with an API key for everything and certificates for both apps, and more.
pub(in crate::service) fn settings(more: &str) -> String {
    let hash = hex::encode(Sha256::digest(SECRET));
    format!(
        "[[api_keys]]\nname = \"backend\"\nsha256 = \"{hash}\"\n\
         scopes = [\"send\", \"devices\", \"admin\"]\n\
         [[credentials]]\nidentity = \"shop\"\ntopics = [\"{APP}\"]\n\
         [[credentials]]\nidentity = \"other\"\ntopics = [\"{OTHER}\"]\n{more}"
    )
}

pub(in crate::service) fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

pub(in crate::service) fn token(n: usize) -> DeviceToken {
    DeviceToken::from_bytes(&u32::try_from(n).unwrap().to_be_bytes()).unwrap()
}

/// A device of [`APP`].
pub(in crate::service) fn device_ref(n: usize) -> DeviceRef {
    DeviceRef {
        topic: topic(APP),
        token: token(n),
    }
}

pub(in crate::service) fn registration(n: usize, app: &str, owner: &str) -> Registration {
    Registration {
        topic: topic(app),
        token: token(n),
        environment: None,
        alias: Some(Alias::parse(owner).unwrap()),
        tags: None,
        replaces: None,
    }
}

fn signing_key() -> SigningKey {
    SigningKey::from_scalar(&[7; 32]).unwrap()
}

impl Desk {
    /// With the certificates of [`settings`], alone with its store.
    pub(in crate::service) fn new() -> Self {
        Self::with(&settings(""))
    }

    pub(in crate::service) fn with(config: &str) -> Self {
        let platform = TestPlatform::default();
        let store = TestStore::new(platform.clone());
        let sender = TestSender::new(platform.clone(), store.clone());
        let process = Process {
            boot: Some("first".to_owned()),
            has_store_alone: true,
            http_client_obeys: false,
        };
        Self::of(config, (platform, store, sender), process)
    }

    fn of(
        config: &str,
        (platform, store, sender): (TestPlatform, TestStore, TestSender),
        process: Process,
    ) -> Self {
        let settings = Settings::parse(config).unwrap();
        let keys = settings.credentials().iter();
        let keys = keys.map(|credential| credential.key().map(|_| signing_key()));
        let configured = Configured {
            keys: keys.collect(),
            settings,
            proxy: None,
            process,
        };
        let app = App::new(configured, platform.clone(), store.clone(), sender.clone());
        Self {
            app: Rc::new(app),
            platform,
            store,
            sender,
            config: config.to_owned(),
        }
    }

    /// Another process on the same store.
    pub(in crate::service) fn another(&self, boot: &str, has_store_alone: bool) -> Self {
        let of = (
            self.platform.clone(),
            self.store.clone(),
            self.sender.clone(),
        );
        let process = Process {
            boot: Some(boot.to_owned()),
            has_store_alone,
            http_client_obeys: false,
        };
        Self::of(&self.config, of, process)
    }

    /// Runs a future to its end.
    pub(in crate::service) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.platform.executor().run(future)
    }

    /// Lets time pass.
    pub(in crate::service) fn pass(&self, secs: u64) {
        let executor = self.platform.executor();
        executor.pass(core::time::Duration::from_secs(secs));
    }

    /// Asks for something; `key` is an idempotency key.
    pub(in crate::service) async fn ask(&self, line: &str, key: Option<&str>, body: &str) -> Reply {
        let (method, target) = line.split_once(' ').unwrap();
        let header = |name: &str| match name {
            "authorization" => vec![format!("Bearer {SECRET}").into_bytes()],
            "content-type" => vec![b"application/json".to_vec()],
            "idempotency-key" => key.map(|key| key.as_bytes().to_vec()).into_iter().collect(),
            _ => Vec::new(),
        };
        let head = RequestHead {
            method,
            target,
            header: &header,
            is_unwritable: &|| false,
        };
        let app = || Ok(Rc::clone(&self.app));
        let answered = answer(head, app, async { Ok(body.as_bytes().to_vec()) });
        answered.await.reply
    }

    /// Asks for something, and waits for the reply: its status, and its body if there is one.
    pub(in crate::service) fn call(&self, line: &str, body: &str) -> (u16, Value) {
        read(&self.run(self.ask(line, None, body)))
    }

    /// The same with an idempotency key.
    pub(in crate::service) fn call_once(&self, line: &str, key: &str, body: &str) -> (u16, Value) {
        read(&self.run(self.ask(line, Some(key), body)))
    }

    /// Registers devices of [`APP`] for an alias.
    pub(in crate::service) fn register(&self, owner: &str, devices: core::ops::Range<usize>) {
        for n in devices {
            let now = self.platform.unix_time();
            let registration = registration(n, APP, owner);
            let registered = crate::registry::register(&self.store, &registration, now);
            self.run(registered).unwrap();
        }
    }

    /// The record of a device of [`APP`].
    pub(in crate::service) fn record(&self, n: usize) -> Option<DeviceRecord> {
        self.run(device(&self.store, &device_ref(n))).unwrap()
    }

    /// Whether a device of [`APP`] is there and was not removed.
    pub(in crate::service) fn is_alive(&self, n: usize) -> bool {
        self.record(n)
            .is_some_and(|record| record.removed.is_none())
    }

    /// Where the token of a device of [`APP`] is known to be good.
    pub(in crate::service) fn environment(&self, n: usize) -> Option<Environment> {
        self.record(n).and_then(|record| record.environment)
    }
}

/// A reply as status and document.
pub(in crate::service) fn read(reply: &Reply) -> (u16, Value) {
    let document = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    (reply.status, document)
}

pub(in crate::service) fn bad_device_token() -> Outcome {
    rejected(400, "BadDeviceToken")
}

pub(in crate::service) fn gone() -> Outcome {
    rejected(410, "Unregistered")
}

pub(in crate::service) fn refused_credential() -> Outcome {
    rejected(403, "InvalidProviderToken")
}
