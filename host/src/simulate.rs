//! `dunlin simulate`: an APNs of one's own to point any provider at.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dunlin_simulator::{CertificateAuthority, PublicKey, Simulator, TrustedKey, Validation};

use crate::Error;
use crate::files::{make_private_folder, write_private};
use crate::hangup;
use crate::server::stop_signal;

/// What `dunlin simulate` can be told.
#[derive(Debug)]
pub struct Options {
    /// Where the provider API is.
    pub provider: SocketAddr,
    /// Where channels are managed.
    pub channels: SocketAddr,
    /// Where the binary gateway is.
    pub gateway: SocketAddr,
    /// Where the feedback service is.
    pub feedback: SocketAddr,
    /// Where the page, the journal and the faults are.
    pub control: SocketAddr,
    /// Where the certificate authority is kept.
    pub folder: PathBuf,
    /// `KEYID:TEAMID:FILE` each; any key is believed if there is none.
    pub keys: Vec<String>,
    /// Answer 200 to everything.
    pub accept_all: bool,
}

/// Runs until a signal comes.
///
/// # Errors
/// If an address is taken, or a key or the folder cannot be read.
pub async fn run(options: &Options) -> Result<(), Error> {
    let stop = hangup::or_lost_terminal(stop_signal()?)?;
    let keys = options
        .keys
        .iter()
        .map(|text| trusted_key(text))
        .collect::<Result<Vec<_>, _>>()?;
    let config = dunlin_simulator::Config {
        provider: options.provider,
        channels: options.channels,
        gateway: options.gateway,
        feedback: options.feedback,
        control: options.control,
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
    let simulator = Simulator::start(config).await?;
    println!(
        "\nA simulated APNs is up. Ctrl-C stops it.\n\n  \
         provider API   https://{}   (trust {})\n  \
         channels       https://{}\n  gateway        {}\n  feedback       {}\n  page           http://{}\n",
        simulator.provider_addr(),
        options.folder.join("ca.pem").display(),
        simulator.channels_addr(),
        simulator.gateway_addr(),
        simulator.feedback_addr(),
        simulator.control_addr(),
    );
    stop.await;
    simulator.shutdown().await;
    Ok(())
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
        return Err(Error::new(format!(
            "--key: expected KEYID:TEAMID:FILE, got {text}"
        )));
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
