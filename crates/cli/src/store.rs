//! `dunlin store upgrade`.

use std::path::{Path, PathBuf};

use dunlin::terminal::Exit;
use dunlin_host::config::StoreSettings;
use dunlin_host::store::{self, StoreError, UpgradeReport};

use crate::Error;
use crate::config::Config;
use crate::output;

/// Upgrades the store in `file`, or else the one that the configuration names, and says what became
/// of it.
///
/// # Errors
/// If there is no such file, if a service has it, or if it cannot be read or written.
pub fn upgrade(config: &Path, file: Option<PathBuf>) -> Result<Exit, Error> {
    let file = match file {
        Some(file) => file,
        None => match Config::load(config)?.store {
            StoreSettings::File { path } => path,
            StoreSettings::Memory => {
                let why = format!("{}: the store is in memory", config.display());
                return Err(Error::new(why));
            }
        },
    };
    let upgraded = store::upgrade(&file, |done, all| {
        output::progress(&format!("{done} of {all} values"));
    });
    output::progress("");
    let name = file.display();
    match upgraded {
        Ok(None) => output::note(&format!("{name}: this version of Dunlin reads it as it is")),
        Ok(Some(report)) => output::note(&said(&file, report)),
        Err(StoreError::InUse) => {
            let why = format!("{name}: another process has the store; stop the service first");
            return Err(Error::in_use(why));
        }
        Err(error) => return Err(Error::new(format!("{name}: {error}"))),
    }
    Ok(Exit::Done)
}

fn said(file: &Path, report: UpgradeReport) -> String {
    let UpgradeReport {
        records: devices,
        others,
        unreadable,
    } = report;
    let mut text = format!(
        "{}: {devices} devices and {others} other values; what there was is {}",
        file.display(),
        store::kept(file).display()
    );
    if unreadable > 0 {
        text.push_str(&format!(
            "\n{unreadable} records could not be read and were left out; those devices are \
             registered at the next launch of their apps"
        ));
    }
    text
}
