//! `dunlin simulate`: an APNs of one's own to point any provider at.

use std::path::{Path, PathBuf};

use dunlin::notification::Topic;
use dunlin::terminal::Exit;
use dunlin_host::files::{make_private_folder, write_private};
use dunlin_host::listen::Listen;
use dunlin_simulator::{
    CertificateAuthority, PublicKey, SecondEnvironment, Simulator, TrustedKey, Validation,
};

use crate::Error;
use crate::hangup;
use crate::output;
use crate::serve::stop_signal;

/// What the simulated APNs knows, and refuses otherwise.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Refuse every device token that was not declared.
    pub strict_devices: bool,
    /// The bundle identifiers that there are; every one if there is none here.
    pub topics: Vec<String>,
}

impl Rules {
    /// Whether they can be gone by.
    ///
    /// # Errors
    /// [`Exit::Usage`], if a topic is none.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |error| Error::with(Exit::Usage, format!("--topic: {error}"));
        let mut parsed = self.topics.iter().map(|topic| Topic::parse(topic));
        parsed.try_for_each(|topic| topic.map(drop).map_err(wrong))
    }

    /// Puts them into a configuration.
    pub fn apply(&self, config: dunlin_simulator::Config) -> dunlin_simulator::Config {
        dunlin_simulator::Config {
            only_declared_devices: self.strict_devices,
            topics: (!self.topics.is_empty()).then(|| self.topics.clone()),
            ..config
        }
    }
}

/// What `dunlin simulate` can be told.
#[derive(Debug)]
pub struct SimulateOptions {
    /// Where the provider API is.
    pub provider: Listen,
    /// Where channels are managed.
    pub channels: Listen,
    /// Where the provider API of production is, if that is played beside development.
    pub production: Option<Listen>,
    /// Where channels of production are managed; a free port if absent.
    pub production_channels: Option<Listen>,
    /// Where the binary gateway is.
    pub gateway: Listen,
    /// Where the feedback service is.
    pub feedback: Listen,
    /// Where the page, the journal and the faults are.
    pub control: Listen,
    /// Where the certificate authority is kept.
    pub folder: PathBuf,
    /// `KEYID:TEAMID:FILE` each; any key is believed if there is none.
    pub keys: Vec<String>,
    /// What is known.
    pub rules: Rules,
    /// Answer 200 to everything.
    pub accept_all: bool,
}

/// Runs until a signal comes.
///
/// # Errors
/// If an address is taken, or a key or the folder cannot be read.
pub async fn run(options: &SimulateOptions) -> Result<(), Error> {
    let stop = hangup::or_lost_terminal(stop_signal()?)?;
    options.rules.check()?;
    let keys = options
        .keys
        .iter()
        .map(|text| trusted_key(text))
        .collect::<Result<Vec<_>, _>>()?;
    let second = match (&options.production, &options.production_channels) {
        (None, _) => None,
        (Some(provider), None) => Some(SecondEnvironment {
            provider: provider.address().await?,
            ..SecondEnvironment::default()
        }),
        (Some(provider), Some(channels)) => Some(SecondEnvironment {
            provider: provider.address().await?,
            channels: channels.address().await?,
        }),
    };
    let config = dunlin_simulator::Config {
        provider: options.provider.address().await?,
        channels: options.channels.address().await?,
        gateway: options.gateway.address().await?,
        feedback: options.feedback.address().await?,
        control: options.control.address().await?,
        second,
        accept_any_key: keys.is_empty(),
        keys,
        validation: if options.accept_all {
            Validation::AcceptAll
        } else {
            Validation::Strict
        },
        authority: Some(authority(&options.folder)?),
        ..dunlin_simulator::Config::default()
    };
    let simulator = Simulator::start(options.rules.apply(config)).await?;
    // Whoever reads it may have gone; the simulator is up all the same.
    let _ = output::data(&greeting(&simulator, &options.folder));
    stop.await;
    simulator.shutdown().await;
    Ok(())
}

/// Where everything is, for people.
fn greeting(simulator: &Simulator, folder: &Path) -> String {
    let second = match simulator.second_addr() {
        None => String::new(),
        Some(SecondEnvironment { provider, channels }) => format!(
            "  production     https://{provider}   (a token is of the environment that pushes to \
             it first)\n  its channels   https://{channels}\n"
        ),
    };
    format!(
        "\nA simulated APNs is up. Ctrl-C stops it.\n\n  \
         provider API   https://{}   (trust {})\n  \
         channels       https://{}\n{second}  gateway        {}\n  feedback       {}\n  \
         page           http://{}\n\n",
        simulator.provider_addr(),
        folder.join("ca.pem").display(),
        simulator.channels_addr(),
        simulator.gateway_addr(),
        simulator.feedback_addr(),
        simulator.control_addr(),
    )
}

/// The certificate authority kept in `folder`, made there if there is none.
///
/// # Errors
/// If the folder cannot be read or written, or what is there does not fit together.
pub fn authority(folder: &Path) -> Result<CertificateAuthority, Error> {
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
    if certificate.exists() && key.exists() {
        let read = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|error| Error::new(format!("{}: {error}", path.display())))
        };
        return Ok(CertificateAuthority::from_pem(
            &read(&certificate)?,
            &read(&key)?,
        )?);
    }
    make_private_folder(folder)?;
    let authority = CertificateAuthority::generate()?;
    write_private(&key, authority.key_pem())?;
    write_private(&certificate, authority.certificate_pem())?;
    Ok(authority)
}

fn trusted_key(text: &str) -> Result<TrustedKey, Error> {
    let mut parts = text.splitn(3, ':');
    let (Some(key_id), Some(team_id), Some(file)) = (parts.next(), parts.next(), parts.next())
    else {
        let why = format!("--key: expected KEYID:TEAMID:FILE, got {text}");
        return Err(Error::with(Exit::Usage, why));
    };
    let pem =
        std::fs::read_to_string(file).map_err(|error| Error::new(format!("{file}: {error}")))?;
    let public_key =
        PublicKey::from_pem(&pem).map_err(|error| Error::new(format!("{file}: {error}")))?;
    let (key_id, team_id) = (key_id.to_owned(), team_id.to_owned());
    Ok(TrustedKey {
        key_id,
        team_id,
        public_key,
        topics: None,
        environment: None,
    })
}
