//! The options of `dunlin devices import` and `export`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use dunlin::terminal::parse_number;
use dunlin_cli::commands::ServiceAccess;
use dunlin_cli::export::ExportOptions;
use dunlin_cli::import::{FileFormat, ImportOptions};

use super::place::ServiceArguments;

const IMPORT_HELP: &str = "\
CSV has a head that names columns as the fields of a registration are named: token, topic,
environment, alias, tags, replaces. Tags stand in one column, with commas between them. The
separator of columns may be a comma, a semicolon or a tab.

How far it is, is kept in FILE.journal; an import that was killed goes on there when it is started
again. Exit code 3: some lines were refused, and are in FILE.refused.ndjson with the reasons.";

/// `dunlin devices import` and `export`
#[derive(Subcommand)]
pub enum Transfer {
    /// Register the devices of a file.
    #[command(after_help = IMPORT_HELP)]
    Import(Import),
    /// Write all devices of an app, as import takes them.
    Export(Export),
}

#[derive(Args)]
pub struct Import {
    /// The file, NDJSON or CSV; - reads the standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The app of lines that name none.
    #[arg(long, allow_hyphen_values = true)]
    topic: Option<String>,
    /// The environment of lines that name none: development or production.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    environment: Option<String>,
    /// How the devices are written [default: by the file's name; NDJSON on the standard input].
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// Another name for the column of a field, such as token=registration_id; may be repeated.
    #[arg(long = "column", value_name = "FIELD=NAME", value_parser = column)]
    columns: Vec<(String, String)>,
    /// Where refused lines go [default: FILE.refused.ndjson; nowhere from the standard input].
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Where it is kept how far the import is [default: FILE.journal].
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Begin anew, whatever the journal says.
    #[arg(long)]
    restart: bool,
    /// How long to wait for a service that is away.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = parse_number)]
    retry_for: u64,
    /// Print the sum as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: ServiceArguments,
}

#[derive(Args)]
pub struct Export {
    /// The app.
    #[arg(long, allow_hyphen_values = true)]
    topic: String,
    /// Only devices that are known to be of it: development or production.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    environment: Option<String>,
    /// How devices are written [default: by the file's name; NDJSON on the standard output].
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// The file, which is replaced when the export is whole [default: the standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How long to wait for a service that is away.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = parse_number)]
    retry_for: u64,
    #[command(flatten)]
    at: ServiceArguments,
}

fn column(text: &str) -> Result<(String, String), String> {
    let (field, name) = text.split_once('=').ok_or_else(|| {
        format!("expected FIELD=NAME such as token=registration_id, got {text:?}")
    })?;
    Ok((field.to_owned(), name.to_owned()))
}

impl Import {
    /// What is imported, and where to.
    pub fn options(self) -> (ImportOptions, ServiceAccess) {
        let options = ImportOptions {
            file: self.file,
            topic: self.topic,
            environment: self.environment,
            format: self.format,
            columns: self.columns,
            refused: self.refused,
            journal: self.journal,
            restarts: self.restart,
            patience: Duration::from_secs(self.retry_for),
            json: self.json,
        };
        (options, self.at.into())
    }
}

impl Export {
    /// What is exported, and from where.
    pub fn options(self) -> (ExportOptions, ServiceAccess) {
        let options = ExportOptions {
            topic: self.topic,
            environment: self.environment,
            format: self.format,
            output: self.output,
            patience: Duration::from_secs(self.retry_for),
        };
        (options, self.at.into())
    }
}
