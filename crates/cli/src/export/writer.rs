//! Devices as texts: a line of JSON, or a record of CSV.

use std::io::{self, BufWriter, Write};

use dunlin::environment::Environment;
use dunlin::terminal::{visible, visible_json};
use serde::{Deserialize, Serialize};

use super::target::Shown;
use crate::import::{FIELDS, FileFormat, GUARD, GUARDED};

/// A device, with what a registration can say of it.
#[derive(Debug, Deserialize, Serialize)]
pub struct ExportedDevice {
    pub token: String,
    pub topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Writes devices as [`crate::import`] reads them.
pub struct DeviceWriter<W: Write> {
    /// Where to.
    pub out: BufWriter<W>,
    /// How.
    pub format: FileFormat,
}

/// Columns that an export has: a device has replaced nothing any more.
fn columns() -> impl Iterator<Item = &'static str> {
    FIELDS.into_iter().filter(|field| *field != "replaces")
}

impl<W: Write + Shown> DeviceWriter<W> {
    /// Writes what comes before the first.
    pub fn head(&mut self) -> io::Result<()> {
        match self.format {
            FileFormat::Ndjson => Ok(()),
            FileFormat::Csv => {
                let names: Vec<_> = columns().collect();
                write!(self.out, "{}\r\n", names.join(","))
            }
        }
    }

    /// Writes one.
    pub fn device(&mut self, device: &ExportedDevice) -> io::Result<()> {
        if self.format == FileFormat::Ndjson {
            let line = serde_json::to_string(device)?;
            return writeln!(self.out, "{}", visible_json(&line));
        }
        let environment = device.environment.map(|it| it.to_string());
        let tags = tags_field(&device.tags)?;
        let fields = [
            device.token.as_str(),
            &device.topic,
            environment.as_deref().unwrap_or_default(),
            device.alias.as_deref().unwrap_or_default(),
            &tags,
        ];
        let record: Vec<_> = fields.into_iter().map(csv_field).collect();
        let record = record.join(",");
        match self.out.get_ref().is_terminal() {
            true => write!(self.out, "{}\r\n", visible(&record)),
            false => write!(self.out, "{record}\r\n"),
        }
    }
}

/// With commas between them; as a JSON array where that would be others.
fn tags_field(tags: &[String]) -> io::Result<String> {
    let is_plain = |tag: &String| {
        tag.trim() == tag && !tag.is_empty() && !tag.contains(',') && !tag.starts_with('[')
    };
    match tags.iter().all(is_plain) {
        true => Ok(tags.join(",")),
        false => Ok(serde_json::to_string(tags)?),
    }
}

/// A field as RFC 4180 has it. What a spreadsheet would take for a formula has an apostrophe before
/// it, which the import takes away.
fn csv_field(text: &str) -> String {
    let guard = match text.starts_with(GUARDED) {
        true => GUARD.to_string(),
        false => String::new(),
    };
    match text.contains([',', ';', '\t', '"', '\r', '\n']) || text.trim() != text {
        true => format!("\"{guard}{}\"", text.replace('"', "\"\"")),
        false => format!("{guard}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Screen(Vec<u8>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shown for Screen {
        fn is_terminal(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_field_is_quoted_where_it_has_to_be_and_guarded_from_spreadsheets() {
        for (text, expected) in [
            ("anna", "anna"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("=1+1", "'=1+1"),
            ("+49 1", "'+49 1"),
            ("@x,y", "\"'@x,y\""),
            ("'x", "''x"),
            (" x", "\" x\""),
            ("", ""),
        ] {
            assert_eq!(csv_field(text), expected);
        }
        let tags = |tags: &[&str]| {
            let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            tags_field(&tags).unwrap()
        };
        assert_eq!(tags(&["news", "sport"]), "news,sport");
        assert_eq!(tags(&["a,b", "c"]), r#"["a,b","c"]"#);
        assert_eq!(tags(&[" a"]), r#"[" a"]"#);
        assert_eq!(tags(&[]), "");
    }

    #[test]
    fn nothing_that_others_wrote_reaches_a_terminal_as_it_is() {
        let device = ExportedDevice {
            token: "a1".into(),
            topic: "a.b".into(),
            environment: Some(Environment::Production),
            alias: Some("x\u{202e}y".into()),
            tags: Vec::new(),
        };
        for format in [FileFormat::Ndjson, FileFormat::Csv] {
            let out = BufWriter::new(Screen(Vec::new()));
            let mut writer = DeviceWriter { out, format };
            writer.head().unwrap();
            writer.device(&device).unwrap();
            let shown = writer
                .out
                .into_inner()
                .unwrap_or_else(|_| panic!("flushed"))
                .0;
            let shown = String::from_utf8(shown).unwrap();
            assert!(
                !shown.contains('\u{202e}') && shown.contains("202e"),
                "{shown}"
            );
        }
    }
}
