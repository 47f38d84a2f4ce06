//! What should not be known: API keys that anybody would guess, and secrets that the function can
//! read.
//!
//! The function can read everything in the folder of the configuration file. What belongs there are
//! the configuration and the signing keys that it names.
//!
//! Limits: [`MAX_FILES`] entries and [`MAX_DEPTH`] folders below each other are looked at, and
//! [`READ_BYTES`] of a file; [`MAX_FINDINGS`] are told. No contents are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dunlin::config::{ApiKey, Credential, Settings};
use ring::digest::{SHA256, digest};

use super::report::{Line, Severity};
use crate::config::Config;

/// Most entries that are looked at. Ours.
const MAX_FILES: usize = 1_000;

/// Most folders below each other.
const MAX_DEPTH: usize = 4;

/// Bytes of a file that are searched for a private key.
const READ_BYTES: u64 = 16 * 1024;

/// Most files that are told of.
const MAX_FINDINGS: usize = 20;

/// What is tried first by whoever tries, and what stands in samples.
const OBVIOUS: [&str; 34] = [
    "",
    "0",
    "1",
    "1234",
    "12345",
    "123456",
    "12345678",
    "123456789",
    "abc123",
    "admin",
    "api",
    "api-key",
    "api_key",
    "apikey",
    "backend",
    "changeme",
    "default",
    "demo",
    "dev",
    "dunlin",
    "example",
    "foo",
    "hello",
    "key",
    "letmein",
    "password",
    "prod",
    "production",
    "push",
    "qwerty",
    "root",
    "secret",
    "test",
    "token",
];

/// How people end such a word.
const ENDINGS: [&str; 4] = ["", "\n", "1", "123"];

/// Looks at the hashes of the API keys.
pub(super) fn api_keys(settings: &Settings) -> Vec<Line> {
    let keys = settings.api_keys();
    if keys.is_empty() {
        let what = "expected at least one, got none: nobody can call the HTTP interface";
        let advice = "Add [[api_keys]] with the SHA-256 of a random key.";
        return vec![Line::new(Severity::Warning, "api keys", what, advice)];
    }
    let obvious: BTreeMap<[u8; 32], &str> = OBVIOUS
        .iter()
        .flat_map(|word| ENDINGS.map(|ending| (hash(&format!("{word}{ending}")), *word)))
        .collect();
    let mut lines = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let subject = format!("api key {}", key.name);
        let error = |what: String, advice| Line::new(Severity::Error, &subject, what, advice);
        if *key.sha256() == [0; 32] {
            let what = "expected the SHA-256 of a key, got that of the sample, which no key has";
            lines.push(error(what.to_owned(), RANDOM));
        } else if obvious.contains_key(key.sha256()) {
            let what = "expected a key that nobody guesses, got one that is tried first";
            lines.push(error(what.to_owned(), RANDOM));
        }
        let same = |other: &&ApiKey| other.sha256() == key.sha256();
        if let Some(first) = keys.iter().take(index).find(same)
            && *key.sha256() != [0; 32]
        {
            let what = format!(
                "expected a key of its own, got that of {}, which counts",
                first.name
            );
            lines.push(error(what, "Make another key for one of them."));
        }
    }
    if lines.is_empty() {
        let count = keys.len();
        lines.push(Line::ok(
            "api keys",
            format!("{count}, none that is easily guessed"),
        ));
    }
    lines
}

fn hash(text: &str) -> [u8; 32] {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().try_into().unwrap_or_default()
}

/// Looks for secrets beside the configuration file that the function has no use for.
pub(super) fn beside(folder: &Path, config: &Config) -> Vec<Line> {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let keys = config
        .settings
        .credentials()
        .iter()
        .filter_map(Credential::key);
    let wanted: Vec<PathBuf> = keys
        .filter_map(|key| folder.join(&key.key_file).canonicalize().ok())
        .collect();
    // Those have an error of their own.
    let told: Vec<PathBuf> = config
        .tls
        .identities
        .values()
        .flat_map(|files| files.secrets())
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let mut found: Vec<(PathBuf, &str)> = Vec::new();
    for path in files(folder) {
        let Ok(real) = path.canonicalize() else {
            continue;
        };
        if wanted.contains(&real) || told.contains(&real) || found.len() >= MAX_FINDINGS {
            continue;
        }
        found.extend(secret_in(&path).map(|what| (path, what)));
    }
    let line = |(path, what): &(PathBuf, &str)| {
        let what = format!(
            "{}: {what} that the function can read and has no use for",
            path.display()
        );
        let advice = "Move it out of the folder of the configuration file.";
        Line::new(Severity::Warning, "secrets", what, advice)
    };
    found.iter().map(line).collect()
}

/// What kind of secret a file is, by its name or by what is in it.
fn secret_in(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let ends = |ending: &str| name.ends_with(ending);
    if ends(".p12") || ends(".pfx") {
        return Some("a certificate with its key");
    }
    if name.starts_with("api-key") || name.starts_with("api_key") || name.starts_with("apikey") {
        return Some("an API key");
    }
    if name.contains("passphrase") || name.contains("password") {
        return Some("a passphrase");
    }
    if name == ".env" || ends(".env") {
        return Some("a file of environment variables");
    }
    if ends(".p8") {
        return Some("a signing key");
    }
    let mut start = Vec::new();
    let file = File::open(path).ok()?;
    file.take(READ_BYTES).read_to_end(&mut start).ok()?;
    let marks = ["PRIVATE KEY-----", "BEGIN OPENSSH PRIVATE KEY"];
    let has = |mark: &str| {
        start
            .windows(mark.len())
            .any(|window| window == mark.as_bytes())
    };
    marks.into_iter().any(has).then_some("a private key")
}

/// The files of a folder and those below it. Links are not followed out of it, and not into
/// folders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let mut entries: Vec<PathBuf> = entries
            .take(MAX_FILES.saturating_sub(seen))
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect();
        seen += entries.len();
        entries.sort();
        for path in entries {
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            if metadata.is_dir() && depth < MAX_DEPTH {
                folders.push((path, depth + 1));
            } else if metadata.is_file() {
                files.push(path);
            }
        }
    }
    files
}

const RANDOM: &str = "\
    Make a random one, as by `openssl rand -hex 24`, and put its SHA-256 in place of this.";

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(hashes: &[&str]) -> Settings {
        let mut text = String::new();
        for (index, sha256) in hashes.iter().enumerate() {
            text += &format!(
                "[[api_keys]]\nname = \"k{index}\"\nsha256 = \"{sha256}\"\nscopes = [\"send\"]\n"
            );
        }
        Settings::parse(&text).unwrap()
    }

    fn said(hashes: &[&str]) -> Vec<(Severity, String)> {
        let lines = api_keys(&settings(hashes));
        lines
            .into_iter()
            .map(|line| (line.severity, format!("{}: {}", line.subject, line.what)))
            .collect()
    }

    #[test]
    fn api_keys_that_anybody_would_guess_are_errors() {
        let hash = |text| hex::encode(hash(text));
        let (good, other) = (hash("dev-5f1c"), hash("dev-5f1d"));
        assert_eq!(said(&[&good, &other])[0].0, Severity::Ok);
        assert_eq!(said(&[])[0].0, Severity::Warning);
        let zeros = "0".repeat(64);
        let sample = said(&[&good, &zeros, &zeros]);
        assert_eq!(sample.len(), 2, "{sample:?}");
        for weak in ["test", "secret", "changeme", "secret\n", "admin123", ""] {
            let lines = said(&[&good, &hash(weak)]);
            let [(severity, text)] = lines.as_slice() else {
                panic!("{weak}: {lines:?}");
            };
            assert_eq!(*severity, Severity::Error);
            assert!(
                text.starts_with("api key k1: ") && text.ends_with("tried first"),
                "{text}"
            );
        }
        let double = said(&[&good, &other, &good]);
        assert_eq!(double.len(), 1);
        assert!(double[0].1.contains("got that of k0"), "{double:?}");
    }

    #[test]
    fn secrets_that_the_function_has_no_use_for_are_named_and_no_others() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        std::fs::create_dir_all(folder.join("keys/old")).unwrap();
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let both = format!("-----BEGIN CERTIFICATE-----\n{key}");
        for (file, contents) in [
            ("used.p8", key.as_str()),
            ("dunlin.toml", "# no PRIVATE KEY here"),
            ("ca.pem", "-----BEGIN CERTIFICATE-----\n"),
            ("keys/old/AuthKey_OLD.p8", "x"),
            ("shop.p12", "x"),
            ("api-key", "x"),
            ("ca-key.pem", key.as_str()),
            ("passphrase.txt", "x"),
            ("keys/client.pem", both.as_str()),
        ] {
            std::fs::write(folder.join(file), contents).unwrap();
        }
        std::fs::write(folder.join("large"), "x".repeat(100_000)).unwrap();
        let text = "[[credentials]]\nkey_id = \"ABC123DEFG\"\nteam_id = \"DEF123GHIJ\"\n\
                    key_file = \"used.p8\"\n";
        let file = folder.join("dunlin.toml");
        std::fs::write(&file, text).unwrap();
        let config = Config::read(&file).unwrap();
        let lines = beside(folder, &config);
        let mut named: Vec<String> = lines
            .iter()
            .map(|line| {
                assert_eq!(line.severity, Severity::Warning);
                assert!(!line.what.contains("MIG"), "no contents");
                let (path, _) = line.what.split_once(": ").unwrap();
                let path = Path::new(path).strip_prefix(folder).unwrap();
                path.display().to_string()
            })
            .collect();
        named.sort();
        let expected = [
            "api-key",
            "ca-key.pem",
            "keys/client.pem",
            "keys/old/AuthKey_OLD.p8",
            "passphrase.txt",
            "shop.p12",
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn a_large_folder_is_looked_at_in_part() {
        let scratch = tempfile::tempdir().unwrap();
        for n in 0..MAX_FILES + 50 {
            std::fs::write(scratch.path().join(format!("{n}.p12")), "").unwrap();
        }
        assert_eq!(files(scratch.path()).len(), MAX_FILES);
        let file = scratch.path().join("0.toml");
        std::fs::write(&file, "").unwrap();
        let config = Config::read(&file).unwrap();
        assert_eq!(beside(scratch.path(), &config).len(), MAX_FINDINGS);
    }
}
