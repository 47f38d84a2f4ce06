//! The instance's own service, made of files, the environment and what WASI gives.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::driver::Drivers;
use super::platform::{self, Wasi};
use super::store::WasiStore;
use crate::api::Problem;
use crate::auth::SigningKey;
use crate::config::{CredentialKind, Settings};
use crate::limits::PRIVATE_KEY_FILE_MAX_BYTES;
use crate::service::{self, Configured, Platform, Runtime};

/// Names the configuration file.
const CONFIG_VARIABLE: &str = "DUNLIN_CONFIG";

/// Where it is otherwise.
const CONFIG_DEFAULT: &str = "dunlin.toml";

/// What this instance stands on.
pub(super) struct Component;

impl Runtime for Component {
    type Platform = Wasi;
    type Store = WasiStore;
    type Sender = Drivers;
}

pub(super) type App = service::App<Component>;

thread_local! {
    static APP: RefCell<Option<Rc<App>>> = const { RefCell::new(None) };
}

/// The instance's own; made at the first call, and again at the next if that failed.
pub(super) fn app() -> Result<Rc<App>, Problem> {
    APP.with_borrow_mut(|app| match app {
        Some(app) => Ok(Rc::clone(app)),
        None => {
            let made = Rc::new(load().map_err(|why| {
                Wasi.tell(|operator, now| operator.misconfigured(now, &why));
                Problem::misconfigured()
            })?);
            Wasi.tell(|operator, now| operator.configured(now));
            *app = Some(Rc::clone(&made));
            Ok(made)
        }
    })
}

fn load() -> Result<App, String> {
    let path = std::env::var(CONFIG_VARIABLE).unwrap_or_else(|_| CONFIG_DEFAULT.to_owned());
    let path = PathBuf::from(path);
    let failed = |why: &dyn fmt::Display| format!("configuration {}: {why}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
    let settings = Settings::parse(&text).map_err(|error| failed(&error))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let keys = settings.credentials().iter();
    let keys = keys.map(|credential| match credential.kind() {
        CredentialKind::Key(source) => read_key(&folder.join(&source.key_file)).map(Some),
        CredentialKind::Identity(_) => Ok(None),
    });
    let keys = keys.collect::<Result<_, _>>()?;
    let proxy = settings
        .proxy()
        .map(|proxy| proxy.credentials(|name| std::env::var(name).ok()));
    let proxy = proxy.transpose().map_err(|error| failed(&error))?;
    let configured = Configured {
        settings,
        keys,
        proxy: proxy.flatten(),
        process: platform::process(),
    };
    Ok(App::new(configured, Wasi, WasiStore, Drivers))
}

fn read_key(path: &Path) -> Result<SigningKey, String> {
    let failed = |why: &dyn fmt::Display| format!("key {}: {why}", path.display());
    let size = std::fs::metadata(path)
        .map_err(|error| failed(&error))?
        .len();
    let limit = PRIVATE_KEY_FILE_MAX_BYTES;
    if usize::try_from(size).map_or(true, |size| size > limit) {
        return Err(failed(&format!(
            "expected at most {limit} bytes, got {size}"
        )));
    }
    let file = std::fs::read(path).map_err(|error| failed(&error))?;
    SigningKey::from_pem(&file).map_err(|error| failed(&error))
}
