//! The command line: `dunlin serve`, `dev`, `push`, `devices`, `doctor`, `feedback`, `sweep`,
//! `status`, `store`, `simulate`.

mod arguments;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dunlin::api::Task;
use dunlin::terminal::{EXIT_CODES, Exit, visible_json, visible_lines};
use dunlin_cli::client::ServiceUrl;
use dunlin_cli::commands::{self, Call};
use dunlin_cli::logging::{self, Format};
use dunlin_cli::serve::{Server, stop_signal};
use dunlin_cli::{
    Error, bulk, dev, doctor, export, hangup, import, output, simulate, status, store,
};
use dunlin_host::files;
use dunlin_host::listen::Listen;

use arguments::{Devices, Push, ServiceArguments, Transfer};

/// What a flood took goes back to the system when the flood is over.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Apple Push Notification service as one function.
#[derive(Parser)]
#[command(version, about, after_help = EXIT_CODES)]
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
    /// Send a push. A line for each device says what became of it.
    #[command(after_help = EXIT_CODES)]
    Push(Box<Push>),
    /// List devices, a line for each; import and export them.
    #[command(after_help = EXIT_CODES)]
    Devices(Box<Devices>),
    /// Check every credential and the way to APNs, and say what to do; fails if anything does not
    /// work.
    Doctor(Doctor),
    /// Mark devices that have not been seen for long, and forget what is over, now.
    #[command(after_help = EXIT_CODES)]
    Sweep(Sweep),
    /// Poll the feedback services now; without this the running service does it by its schedule.
    #[command(after_help = EXIT_CODES)]
    Feedback(Feedback),
    /// Say what the running service has done.
    #[command(after_help = EXIT_CODES)]
    Status(StatusArguments),
    /// Look after the file of the store, while no service has it.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Run a simulated APNs alone.
    Simulate(Box<Simulate>),
}

#[derive(Subcommand)]
enum StoreCommand {
    /// Make of a store that an earlier version wrote one that this version reads, and keep what
    /// there was beside it. Takes the room of both.
    Upgrade(StoreUpgrade),
}

#[derive(Args)]
struct StoreUpgrade {
    /// The configuration file that names the store.
    #[arg(long, default_value = "dunlin.toml", env = "DUNLIN_CONFIG")]
    config: PathBuf,
    /// The store, whatever the configuration says.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Args)]
struct Sweep {
    /// Print the report as it is, JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: ServiceArguments,
}

#[derive(Args)]
struct Feedback {
    /// Poll once and end. There is no other way yet; a schedule belongs to `dunlin serve`.
    #[arg(long, required = true)]
    once: bool,
    /// Print the report as it is, JSON, which is done in any case.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: ServiceArguments,
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
struct StatusArguments {
    /// The configuration file of the running service.
    #[arg(long, default_value = "dunlin.toml", env = "DUNLIN_CONFIG")]
    config: PathBuf,
    /// The running service, such as http://127.0.0.1:8080, whatever the configuration says.
    #[arg(long, value_name = "URL", env = "DUNLIN_URL")]
    url: Option<ServiceUrl>,
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
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<Listen>,
    /// Where the simulator's page is [default: 127.0.0.1:8081, or a free port if that is taken].
    #[arg(long, value_name = "ADDRESS")]
    simulator: Option<Listen>,
    #[command(flatten)]
    rules: Rules,
    /// Run this component instead of the embedded one.
    #[arg(long)]
    component: Option<PathBuf>,
}

#[derive(Args)]
struct Simulate {
    /// Where the provider API is, HTTP/2 over TLS.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:2197")]
    provider: Listen,
    /// Where the provider API of production is, beside that of development at --provider: a token
    /// belongs to the environment that has pushed to it first; absent if not given.
    #[arg(long, value_name = "ADDRESS")]
    production: Option<Listen>,
    /// Where the channels of production are managed; a free port if not given.
    #[arg(long, value_name = "ADDRESS", requires = "production")]
    production_channels: Option<Listen>,
    /// Where channels are managed, HTTP/2 over TLS; Apple's ports 2195 and 2196 are the binary
    /// protocols' here.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:2198")]
    channels: Listen,
    /// Where the binary gateway is; it wants a client certificate, see POST /certificates.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:2195")]
    gateway: Listen,
    /// Where the feedback service is; it wants one too.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:2196")]
    feedback: Listen,
    /// Where the page, the journal and the faults are.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    control: Listen,
    /// Where the certificate authority is kept, as ca.pem and ca-key.pem.
    #[arg(long, default_value = ".dunlin")]
    folder: PathBuf,
    /// A public key in PEM whose provider tokens are valid, as KEYID:TEAMID:FILE; any key if none.
    #[arg(long = "key", value_name = "KEYID:TEAMID:FILE")]
    keys: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    /// Check nothing and answer 200, for benchmarks.
    #[arg(long, conflicts_with_all = ["strict_devices", "topics"])]
    accept_all: bool,
}

/// What the simulated APNs knows, and refuses otherwise.
#[derive(Args)]
struct Rules {
    /// Refuse every device token that was not declared with POST /devices of the simulator's page;
    /// without this every token is a device of every app.
    #[arg(long)]
    strict_devices: bool,
    /// A bundle identifier that exists, with every suffix of a push type; may be repeated. Without
    /// this every one does.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
}

impl From<Rules> for simulate::Rules {
    fn from(rules: Rules) -> Self {
        Self {
            strict_devices: rules.strict_devices,
            topics: rules.topics,
        }
    }
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
    let exit = match run(cli.command).await {
        Ok(exit) => exit,
        Err(error) => {
            output::note(&format!("dunlin: {}", visible_lines(&error.to_string())));
            error.exit()
        }
    };
    ExitCode::from(exit.code())
}

/// How it ended.
async fn run(command: Command) -> Result<Exit, Error> {
    if let Command::Push(_) | Command::Sweep(_) | Command::Feedback(_) = command {
        hangup::ignore(hangup::NOT_YET)?;
    }
    match command {
        Command::Push(push) => {
            let tokens = push.tokens_from.clone();
            let (push, place, json) = push.command()?;
            match tokens {
                Some(from) => bulk::push(push, &from, &place, json).await,
                None => commands::run(Call::push(push)?, &place, json).await,
            }
        }
        Command::Devices(devices) => run_devices(*devices).await,
        Command::Sweep(Sweep { json, at }) => {
            commands::run(Call::task(Task::Sweep), &at.into(), json).await
        }
        // It has always been JSON.
        Command::Feedback(Feedback {
            once: _,
            json: _,
            at,
        }) => commands::run(Call::task(Task::Feedback), &at.into(), true).await,
        Command::Store(StoreCommand::Upgrade(StoreUpgrade { config, file })) => {
            store::upgrade(&config, file)
        }
        Command::Doctor(Doctor {
            config,
            json,
            no_ask,
        }) => {
            let options = doctor::DoctorOptions {
                asks: !no_ask,
                ..doctor::DoctorOptions::default()
            };
            let report = doctor::examine(&config, options).await;
            output::data(&match json {
                true => visible_json(&report.json()).into_owned(),
                false => report.text(),
            })?;
            Ok(match report.has_errors() {
                true => Exit::Failed,
                false => Exit::Done,
            })
        }
        Command::Status(StatusArguments { config, url }) => {
            let text = status::status(&config, url.as_ref()).await?;
            output::data(&visible_lines(&text))?;
            Ok(Exit::Done)
        }
        Command::Serve(_) | Command::Dev(_) | Command::Simulate(_) => {
            run_service(command).await.map(|()| Exit::Done)
        }
    }
}

async fn run_devices(devices: Devices) -> Result<Exit, Error> {
    match devices.transfer {
        Some(Transfer::Import(arguments)) => {
            let (options, place) = arguments.options();
            import::import(options, &place).await
        }
        Some(Transfer::Export(arguments)) => {
            let (options, place) = arguments.options();
            export::export(options, &place).await
        }
        None => {
            let (call, place, json) = devices.call();
            commands::run(call, &place, json).await
        }
    }
}

/// Those that run until a signal comes.
async fn run_service(command: Command) -> Result<(), Error> {
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
            rules,
            component,
        }) => {
            let options = dev::DevOptions {
                folder,
                listen,
                simulator,
                rules: rules.into(),
                component,
            };
            dev::run(&options).await?;
        }
        Command::Simulate(asked) => {
            let options = simulate::SimulateOptions {
                provider: asked.provider,
                channels: asked.channels,
                production: asked.production,
                production_channels: asked.production_channels,
                gateway: asked.gateway,
                feedback: asked.feedback,
                control: asked.control,
                folder: asked.folder,
                keys: asked.keys,
                rules: asked.rules.into(),
                accept_all: asked.accept_all,
            };
            simulate::run(&options).await?;
        }
        // Those that end by themselves.
        _ => {}
    }
    Ok(())
}
