//! The contents of a `.p8` file turned into what is wrong with it.
//!
//! Source: Apple, *Establishing a token-based connection to APNs*; [`SigningKey::from_pem`]
//! decides. What is taken here is taken there: line breaks of any kind, a missing last one, none at
//! all.

use dunlin::auth::SigningKey;
use dunlin::limits::PRIVATE_KEY_FILE_MAX_BYTES;

use crate::form::Form;
use crate::{Finding, Level};

/// Whether this is a token key as Apple hands it out: a private key on the curve P-256 in PEM.
///
/// Line ends of Windows, a missing line end at the end, and lines run together are all right.
///
/// # Errors
/// The [`Finding`], always of [`Level::Error`], names what was given instead and says what to do.
pub fn examine_p8(file: &[u8]) -> Result<(), Finding> {
    if file.len() > PRIVATE_KEY_FILE_MAX_BYTES {
        let got = format!("{} bytes", file.len());
        return Err(finding("at most 8192 bytes", &got, DOWNLOAD));
    }
    let Err(error) = SigningKey::from_pem(file) else {
        return Ok(());
    };
    let form = Form::of(file);
    let Some(labels) = form.labels() else {
        return Err(finding(EXPECTED, &form.describe(), not_pem(&form)));
    };
    let has = |label: &str| labels.iter().any(|it| it == label);
    if has("PRIVATE KEY") || has("EC PRIVATE KEY") {
        // The right kind of block: what is wrong in it is best said by who reads it.
        let advice = if is_whole(file) { OTHER_KEY } else { DOWNLOAD };
        return Err(Finding::new(Level::Error, error.to_string(), advice));
    }
    let advice = match () {
        () if has("ENCRYPTED PRIVATE KEY") => "Decrypt it by `openssl pkcs8 -in OLD -out NEW`.",
        () if has("OPENSSH PRIVATE KEY") || has("RSA PRIVATE KEY") => OTHER_KEY,
        () if has("CERTIFICATE") => CERTIFICATE,
        () => DOWNLOAD,
    };
    Err(finding(EXPECTED, &form.describe(), advice))
}

/// Whether a key that was refused is a sound key, only of the wrong kind.
fn is_whole(file: &[u8]) -> bool {
    let blocks = crate::pem::blocks(file);
    blocks.is_ok_and(|blocks| {
        blocks
            .iter()
            .any(|block| matches!(Form::of(&block.der), Form::Key(_)))
    })
}

fn not_pem(form: &Form) -> &'static str {
    match form {
        Form::Pkcs12 | Form::Certificate => CERTIFICATE,
        Form::Key("PKCS #8") => {
            "Convert it by `openssl pkcs8 -inform DER -nocrypt -in OLD -out NEW`."
        }
        Form::Utf16 => "Save the file as UTF-8 or ASCII.",
        Form::FileName => {
            "Give what is in the file, or use the setting that takes the name of a file."
        }
        Form::Base64(_) => {
            "Put the line -----BEGIN PRIVATE KEY----- before it and -----END PRIVATE KEY----- \
            after it."
        }
        _ => DOWNLOAD,
    }
}

fn finding(expected: &str, got: &str, advice: &str) -> Finding {
    let what = format!("signing key: expected {expected}, got {got}");
    Finding::new(Level::Error, what, advice)
}

const EXPECTED: &str = "a private key in PEM, as in the .p8 file from Apple";
const DOWNLOAD: &str = "Take the file AuthKey_….p8 as it was downloaded from Keys in the \
    developer account, or create a new key there.";
const OTHER_KEY: &str = "Use the .p8 file from Keys in the developer account; a key made \
    elsewhere is not known to Apple.";
const CERTIFICATE: &str = "Configure it as the certificate of an identity, or use the .p8 file \
    from Keys in the developer account.";
