//! Texts that come in the place of a device token again and again, and how to get the token
//! instead.
//!
//! Sources: Apple, *Device token update* of MDM (`Token`, data in a property list: base64);
//! Firebase, *Manage FCM registration tokens*; Expo, *Push notifications setup*
//! (`ExponentPushToken[…]`).

/// What programs write where there is no value.
const MISSING: [&str; 7] = [
    "(null)",
    "<null>",
    "null",
    "nil",
    "undefined",
    "None",
    "Optional(nil)",
];

/// Fewest bytes that base64 is told by: a shorter text may be anything.
const BASE64_MIN_BYTES: usize = 16;

/// What to expect in the place of `text`, which is not hexadecimal, and what it is; `None` if it
/// looks like nothing known.
pub(super) fn recognise(text: &str) -> Option<(&'static str, String)> {
    let text = text.trim();
    if ["ExponentPushToken[", "ExpoPushToken["]
        .iter()
        .any(|start| text.starts_with(start))
    {
        let expected = "hexadecimal digits: the device token of APNs, which the app gets from \
                        getDevicePushTokenAsync";
        return Some((expected, "a push token of Expo".to_owned()));
    }
    if is_fcm(text) {
        let expected = "hexadecimal digits: the device token of APNs, which the app gets from \
                        apnsToken of FirebaseMessaging";
        return Some((
            expected,
            "a registration token of Firebase (FCM)".to_owned(),
        ));
    }
    if is_uuid(text) {
        let expected = "hexadecimal digits: the device token that iOS gives to the app when it \
                        registers for remote notifications";
        return Some((expected, "a UUID".to_owned()));
    }
    if MISSING.contains(&text) {
        let expected = "hexadecimal digits: the device token, once the app has one";
        return Some((expected, "the text of a missing value".to_owned()));
    }
    if text.starts_with("0x") {
        let expected = "hexadecimal digits without 0x before them";
        return Some((expected, "0x before them".to_owned()));
    }
    let bytes = base64_bytes(text)?;
    let expected = "hexadecimal digits: decode the base64, and write each byte as two digits";
    Some((expected, format!("base64 of {bytes} bytes")))
}

/// `<instance>:APA91b…`; older ones have no instance.
fn is_fcm(text: &str) -> bool {
    let token = text.split_once(':').map_or(text, |(_, token)| token);
    token.starts_with("APA91")
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    let fits = |byte: u8| byte == b'-' || byte.is_ascii_hexdigit();
    text.bytes().all(fits) && lengths.eq([8, 4, 4, 4, 12])
}

/// How many bytes a text in base64, of either alphabet and perhaps in lines, stands for.
fn base64_bytes(text: &str) -> Option<usize> {
    let joined: String = text.split_ascii_whitespace().collect();
    let digits = joined.trim_end_matches('=');
    let padding = joined.len() - digits.len();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    let is_base64 = padding <= 2 && digits.len() % 4 != 1 && digits.bytes().all(fits);
    let has = |is: fn(&u8) -> bool| digits.as_bytes().iter().any(is);
    let mixed =
        has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
    let bytes = digits.len() * 3 / 4;
    (is_base64 && bytes >= BASE64_MIN_BYTES && (padding > 0 || mixed)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{DeviceToken, rule};
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

    fn got(text: &str) -> String {
        recognise(text).map_or_else(String::new, |(_, got)| got)
    }

    #[test]
    fn base64_is_told_by_its_length_in_bytes() {
        for length in [32, 33, 34, 64, 100] {
            let bytes: Vec<u8> = (0..length).map(|i: u8| i.wrapping_mul(37) ^ 0xa5).collect();
            for text in [
                STANDARD.encode(&bytes),
                STANDARD_NO_PAD.encode(&bytes),
                URL_SAFE.encode(&bytes),
                format!("\t{}\n", STANDARD.encode(&bytes)),
                STANDARD.encode(&bytes).replacen('i', "i\n", 1),
            ] {
                assert_eq!(got(&text), format!("base64 of {length} bytes"), "{text}");
            }
        }
        for text in [
            "hello",
            "this-is-no-token",
            "com.example.app",
            "AAAA====",
            "A".repeat(44).as_str(),
        ] {
            assert_eq!(got(text), "", "{text}");
        }
    }

    #[test]
    fn tokens_of_other_services_are_named_with_the_way_to_the_right_one() {
        let fcm = format!("dXNl_ABC-12:APA91b{}", "Hx_9".repeat(32));
        for (text, is, way) in [
            (fcm.as_str(), "Firebase", "apnsToken"),
            ("APA91bHun4MxP5egoKMwt2KZFBaFUH", "Firebase", "apnsToken"),
            (
                "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]",
                "Expo",
                "getDevicePushTokenAsync",
            ),
            ("ExpoPushToken[x]", "Expo", "getDevicePushTokenAsync"),
            (
                "123e4567-e89b-12d3-a456-426655440000",
                "a UUID",
                "remote notifications",
            ),
            ("(null)", "missing", "once the app has one"),
            ("undefined", "missing", "once the app has one"),
            ("0x740f4707", "0x before", "without 0x"),
        ] {
            for error in [DeviceToken::parse(text), DeviceToken::parse_hex(text)] {
                let error = error.unwrap_err();
                assert_eq!(error.rule(), rule::TOKEN_NOT_HEX, "{text}");
                assert!(error.got().contains(is), "{error}");
                assert!(error.expected().contains(way), "{error}");
                assert!(!error.to_string().contains(text), "{error}");
            }
        }
    }
}
