//! Every part built, and the function joined to its plugs.

use std::path::{Path, PathBuf};

use dunlin_build::{BuildError, Output, Part, Workspace, read};

use crate::join;

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The function as it is.
    pub function: PathBuf,
    /// Exports `wasi:tls`.
    pub tls: PathBuf,
    /// Exports the store, from files.
    pub keyvalue_files: PathBuf,
    /// Exports the store, from `wasi:keyvalue@0.2.0-draft`.
    pub keyvalue_draft: PathBuf,
    /// Exports the store, from `wasi:keyvalue@0.2.0-draft2`.
    pub keyvalue_draft2: PathBuf,
    /// Calls a task of the function when Spin's cron trigger says so.
    pub cron_spin: PathBuf,
    /// The function with TLS and the store of files.
    pub standalone: PathBuf,
    /// The function with TLS and the platform's store.
    pub standalone_draft: PathBuf,
}

impl Built {
    /// All of them.
    pub fn all(&self) -> [&Path; 8] {
        [
            &self.function,
            &self.tls,
            &self.keyvalue_files,
            &self.keyvalue_draft,
            &self.keyvalue_draft2,
            &self.cron_spin,
            &self.standalone,
            &self.standalone_draft,
        ]
    }
}

/// Builds everything into `target/plugs`.
///
/// # Errors
/// If something does not build, whose errors are then on standard error, or clang is missing.
pub fn build(workspace: &Workspace) -> Result<Built, BuildError> {
    // Known at once, and not after minutes.
    dunlin_build::check_tools()?;
    let output = Output::open(workspace)?;
    let function = output.put(Part::Function)?;
    let tls = output.put(Part::Tls)?;
    let keyvalue_files = output.put(Part::KeyvalueFiles)?;
    let keyvalue_draft = output.put(Part::KeyvalueDraft)?;
    let keyvalue_draft2 = output.put(Part::KeyvalueDraft2)?;
    let cron_spin = output.put(Part::CronSpin)?;
    let join = |keyvalue: &Path, name: &str| {
        let (function, tls, keyvalue) = (read(&function)?, read(&tls)?, read(keyvalue)?);
        let plugs = [("plug-tls", &*tls), ("plug-keyvalue", &*keyvalue)];
        output.write(name, &join(&function, &plugs)?)
    };
    let standalone = join(&keyvalue_files, "dunlin-standalone.wasm")?;
    let standalone_draft = join(&keyvalue_draft, "dunlin-standalone-draft.wasm")?;
    Ok(Built {
        function,
        tls,
        keyvalue_files,
        keyvalue_draft,
        keyvalue_draft2,
        cron_spin,
        standalone,
        standalone_draft,
    })
}
