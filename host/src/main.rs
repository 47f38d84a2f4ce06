//! The command line: `dunlin serve`, `dev`, `push`, `devices`, `doctor`, `feedback`, `status`,
//! `simulate`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dunlin::terminal::{visible_json, visible_lines};
use dunlin_host::logging::{self, Format};
use dunlin_host::server::{Server, stop_signal};
use dunlin_host::{Error, dev, doctor, files, hangup, simulate, tasks, terminal};

/// Apple Push Notification service as one function.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// How log lines look; DUNLIN_LOG filters them.
    #[arg(long, value_enum, default_value = "text", global = true)]
    log_format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service by a configuration file.
    Serve(Serve),
    /// Run everything on this machine: service, simulated APNs, keys made on the spot.
    Dev(Dev),
    /// Send a push; see `dunlin push --help`.
    #[command(disable_help_flag = true)]
    Push(Words),
    /// List devices; see `dunlin push --help`.
    #[command(disable_help_flag = true)]
    Devices(Words),
    /// Check every credential and the way to APNs, and say what to do; fails if anything does not work.
    Doctor(Doctor),
    /// Mark devices that have not been seen for long, and forget what is over, now.
    #[command(disable_help_flag = true)]
    Sweep(Words),
    /// Poll the feedback services now; without this the running service does it by its schedule.
    Feedback(Feedback),
    /// Say what the running service has done.
    Status(Status),
    /// Run a simulated APNs alone.
    Simulate(Simulate),
}

/// What the function itself reads.
#[derive(Args)]
struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

#[derive(Args)]
struct Feedback {
    /// Poll once and end. There is no other way yet; a schedule belongs to `dunlin serve`.
    #[arg(long, required = true)]
    once: bool,
    /// The configuration file.
    #[arg(long, default_value = "dunlin.toml", env = "DUNLIN_CONFIG")]
    config: PathBuf,
    /// Lets a running service do it, which has the store to itself.
    #[arg(long, env = "DUNLIN_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Run this component instead of the embedded one.
    #[arg(long)]
    component: Option<PathBuf>,
}

#[derive(Args)]
struct Doctor {
    /// The configuration file.
    #[arg(long, default_value = "dunlin.toml", env = "DUNLIN_CONFIG")]
    config: PathBuf,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
    /// Do not ask APNs whether it takes each credential, which is done by a push to a device that
    /// there cannot be.
    #[arg(long)]
    no_ask: bool,
}

#[derive(Args)]
struct Status {
    /// The configuration file of the running service.
    #[arg(long, default_value = "dunlin.toml", env = "DUNLIN_CONFIG")]
    config: PathBuf,
}

#[derive(Args)]
struct Serve {
    /// The configuration file. The function can read everything in its folder.
    #[arg(long, default_value = "dunlin.toml", env = "DUNLIN_CONFIG")]
    config: PathBuf,
    /// Run this component instead of the embedded one.
    #[arg(long)]
    component: Option<PathBuf>,
}

#[derive(Args)]
struct Dev {
    /// Where keys and the registry are kept between runs.
    #[arg(long, default_value = ".dunlin")]
    folder: PathBuf,
    /// Where to listen [default: 127.0.0.1:8080, or a free port if that is taken].
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the simulator's page is [default: 127.0.0.1:8081, or a free port if that is taken].
    #[arg(long)]
    simulator: Option<SocketAddr>,
    /// Run this component instead of the embedded one.
    #[arg(long)]
    component: Option<PathBuf>,
}

#[derive(Args)]
struct Simulate {
    /// Where the provider API is, HTTP/2 over TLS.
    #[arg(long, default_value = "127.0.0.1:2197")]
    provider: SocketAddr,
    /// Where channels are managed, HTTP/2 over TLS; Apple's ports 2195 and 2196 are the binary protocols' here.
    #[arg(long, default_value = "127.0.0.1:2198")]
    channels: SocketAddr,
    /// Where the binary gateway is; it wants a client certificate, see POST /certificates.
    #[arg(long, default_value = "127.0.0.1:2195")]
    gateway: SocketAddr,
    /// Where the feedback service is; it wants one too.
    #[arg(long, default_value = "127.0.0.1:2196")]
    feedback: SocketAddr,
    /// Where the page, the journal and the faults are.
    #[arg(long, default_value = "127.0.0.1:8081")]
    control: SocketAddr,
    /// Where the certificate authority is kept, as ca.pem and ca-key.pem.
    #[arg(long, default_value = ".dunlin")]
    folder: PathBuf,
    /// A public key in PEM whose provider tokens are valid, as KEYID:TEAMID:FILE; any key if none.
    #[arg(long = "key", value_name = "KEYID:TEAMID:FILE")]
    keys: Vec<String>,
    /// Check nothing and answer 200, for benchmarks.
    #[arg(long)]
    accept_all: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    files::make_all_private();
    let is_service = matches!(
        cli.command,
        Command::Serve(_) | Command::Dev(_) | Command::Simulate(_)
    );
    logging::start(cli.log_format, is_service);
    match run(cli.command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dunlin: {}", visible_lines(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well.
async fn run(command: Command) -> Result<bool, Error> {
    if let Command::Push(_) | Command::Sweep(_) | Command::Feedback(_) = command {
        hangup::ignore(hangup::NOT_YET)?;
    }
    match command {
        Command::Push(Words { words }) => terminal::run(&named("push", words)).await,
        Command::Devices(Words { words }) => terminal::run(&named("devices", words)).await,
        Command::Sweep(Words { words }) => terminal::run(&named("sweep", words)).await,
        Command::Doctor(Doctor {
            config,
            json,
            no_ask,
        }) => {
            let options = doctor::Options {
                asks: !no_ask,
                ..doctor::Options::default()
            };
            let report = doctor::examine(&config, options).await;
            match json {
                true => println!("{}", visible_json(&report.json())),
                false => print!("{}", report.text()),
            }
            Ok(!report.has_errors())
        }
        command => run_whole(command).await.map(|()| true),
    }
}

fn named(name: &str, words: Vec<OsString>) -> Vec<OsString> {
    std::iter::once(name.into()).chain(words).collect()
}

/// Those that do all of it or fail.
async fn run_whole(command: Command) -> Result<(), Error> {
    match command {
        Command::Serve(Serve { config, component }) => {
            let stop = stop_signal()?;
            let server = Server::start(&config, component.as_deref()).await?;
            server.run(stop).await;
        }
        Command::Dev(Dev {
            folder,
            listen,
            simulator,
            component,
        }) => {
            dev::run(&dev::Options {
                folder,
                listen,
                simulator,
                component,
            })
            .await?;
        }
        // Done by who called.
        Command::Push(_) | Command::Devices(_) | Command::Sweep(_) | Command::Doctor(_) => {}
        Command::Feedback(Feedback {
            once: _,
            config,
            api_key,
            component,
        }) => {
            let report =
                tasks::feedback_once(&config, component.as_deref(), api_key.as_deref()).await?;
            println!("{}", visible_json(&report));
        }
        Command::Status(Status { config }) => {
            print!("{}", visible_lines(&tasks::status(&config).await?));
        }
        Command::Simulate(Simulate {
            provider,
            channels,
            gateway,
            feedback,
            control,
            folder,
            keys,
            accept_all,
        }) => {
            let options = simulate::Options {
                provider,
                channels,
                gateway,
                feedback,
                control,
                folder,
                keys,
                accept_all,
            };
            simulate::run(&options).await?;
        }
    }
    Ok(())
}
