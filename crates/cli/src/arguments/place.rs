//! Where the registry or the service is.

use std::path::PathBuf;

use clap::Args;
use dunlin_cli::client::ServiceUrl;
use dunlin_cli::commands::ServiceAccess;

/// Where the registry or the service is, for every command that needs one.
#[derive(Args)]
pub struct ServiceArguments {
    /// The configuration file.
    #[arg(long, default_value = "dunlin.toml", env = "DUNLIN_CONFIG")]
    config: PathBuf,
    /// The running service to ask, such as http://127.0.0.1:8080, whatever the configuration says.
    #[arg(long, value_name = "URL", env = "DUNLIN_URL")]
    url: Option<ServiceUrl>,
    /// An API key of the running service; it is asked where it has the store, or with --url.
    #[arg(
        long,
        value_name = "KEY",
        env = "DUNLIN_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// Run this component instead of the embedded one.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

impl From<ServiceArguments> for ServiceAccess {
    fn from(at: ServiceArguments) -> Self {
        Self {
            config: at.config,
            url: at.url,
            api_key: at.api_key,
            component: at.component,
        }
    }
}
