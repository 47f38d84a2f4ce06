//! Every number of Apple's push service, and every bound chosen here, by name, unit and source.
//!
//! Sources: Apple, *Sending notification requests to APNs* (SEND), *Handling notification responses
//! from APNs* (RESP), *Establishing a token-based connection to APNs* (TOKEN), *Sending broadcast
//! push notification requests to APNs* (BC-SEND), *Sending channel management requests to APNs*
//! (BC-CHAN), *Viewing the status of push notifications using
//! Metrics and APNs* (METRICS), and the appendix *Binary Provider API* of the archived *Local and
//! Remote Notification Programming Guide* (BIN). A number marked **ours** is not Apple's: it bounds
//! memory where Apple states no bound.

use core::time::Duration;

/// Longest device token, in bytes (hex doubles it). **Ours**: SEND says "don't make assumptions
/// about device token size"; tokens of up to 80 bytes have been seen in the field. The binary
/// gateway has a bound of its own, [`TOKEN_MAX_BYTES`](crate::binary::limits::TOKEN_MAX_BYTES).
pub const DEVICE_TOKEN_MAX_BYTES: usize = 512;

/// Largest payload of every push type but VoIP, in UTF-8 bytes. SEND: "4 KB (4096 bytes)".
pub const PAYLOAD_MAX_BYTES: usize = 4_096;

/// Largest VoIP payload, in UTF-8 bytes. SEND: "5 KB (5120 bytes)".
pub const VOIP_PAYLOAD_MAX_BYTES: usize = 5_120;

/// Largest payload of a broadcast to a channel, in UTF-8 bytes. BC-SEND.
pub const BROADCAST_PAYLOAD_MAX_BYTES: usize = 5_120;

/// Deepest nesting of arrays and objects in a payload. **Ours**: what `serde_json` will read into a
/// tree, so that whatever passes here can be parsed again by anything behind it.
pub const PAYLOAD_MAX_DEPTH: usize = 127;

/// Most findings kept of one payload; the rest is dropped. **Ours**: who reads them mends the first
/// few, and sends again.
pub const PAYLOAD_FINDINGS_MAX: usize = 8;

/// Most characters shown of a key in a payload that Apple does not document. **Ours**.
pub const PAYLOAD_KEY_SHOWN_CHARS: usize = 40;

/// Longest `apns-collapse-id`, in bytes. SEND.
pub const COLLAPSE_ID_MAX_BYTES: usize = 64;

/// Longest channel identifier, in bytes. **Ours**: BC-CHAN says "don't make assumptions on the
/// channel ID size", and its example has 20.
pub const CHANNEL_ID_MAX_BYTES: usize = 256;

/// Most channels of an app in one environment. BC-CHAN.
pub const CHANNELS_MAX: usize = 10_000;

/// Largest answer about channels that is read, in bytes. **Ours**: room for [`CHANNELS_MAX`]
/// identifiers of 100 bytes, five times the length of BC-CHAN's example.
pub const CHANNELS_BODY_MAX_BYTES: usize = 1 << 20;

/// Longest topic, in bytes. **Ours**: Apple states no length; a bundle identifier with a suffix
/// stays far below.
pub const TOPIC_MAX_BYTES: usize = 255;

/// Latest `apns-expiration`, in seconds since 1970. **Ours**, from BIN, item 4: four bytes. Apple
/// gives none for HTTP/2; the bound catches milliseconds that were passed for seconds.
pub const EXPIRATION_MAX_SECS: u64 = 0xffff_ffff;

/// Earliest `apns-expiration` that a caller may name, but for 0, in seconds since 1970: 9
/// September 2001. **Ours**: what is below it is a duration that was taken for a date.
pub const EXPIRATION_MIN_SECS: u64 = 1_000_000_000;

/// Longest time APNs stores a notification. METRICS: "30 days, whichever comes first".
pub const STORAGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Longest expiration of a VoIP notification that is not remarked on. **Ours**: *Responding to VoIP
/// Notifications from PushKit* says 0 or "a few seconds".
pub const VOIP_EXPIRATION_MAX: Duration = Duration::from_secs(60);

/// Length of a key identifier (`kid`), in characters. TOKEN.
pub const KEY_ID_CHARS: usize = 10;

/// Length of a team identifier (`iss`), in characters. TOKEN.
pub const TEAM_ID_CHARS: usize = 10;

/// Least age of a provider token before another may be made. TOKEN: "no more than once every 20
/// minutes"; sooner is answered 429 `TooManyProviderTokenUpdates`.
pub const PROVIDER_TOKEN_MIN_AGE: Duration = Duration::from_secs(20 * 60);

/// Age at which a provider token is renewed. **Ours**: the middle of Apple's window, so that a
/// fleet has 20 minutes to agree on the next one.
pub const PROVIDER_TOKEN_RENEW_AGE: Duration = Duration::from_secs(40 * 60);

/// Age at which APNs refuses a provider token with 403 `ExpiredProviderToken`. TOKEN: "no less than
/// once every 60 minutes".
pub const PROVIDER_TOKEN_MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// How far in the future `iat` may lie before the clock is taken to have been set back. **Ours**.
pub const PROVIDER_TOKEN_MAX_SKEW: Duration = Duration::from_secs(5 * 60);

/// How far in the future `iat` of a token that was refused as expired has to lie for that to be the
/// reason. **Ours**: more than a clock that is kept right is ever moved by.
pub const PROVIDER_TOKEN_REFUSED_SKEW: Duration = Duration::from_secs(2);

/// How far ahead of the clock the time of a feedback tuple may lie before it is no evidence.
/// **Ours**: what the clocks of two hosts differ by.
pub const FEEDBACK_MAX_SKEW: Duration = Duration::from_secs(5 * 60);

/// Longest provider token that is read back from a store, in bytes. **Ours**: the tokens made here
/// take about 190.
pub const PROVIDER_TOKEN_MAX_BYTES: usize = 1_024;

/// Longest private key file that is looked at, in bytes. **Ours**: Apple's `.p8` files take 257.
pub const PRIVATE_KEY_FILE_MAX_BYTES: usize = 8_192;

/// Most bytes of a response body that are kept; the rest is dropped. **Ours**: the JSON that RESP
/// describes takes less than 100.
pub const RESPONSE_BODY_MAX_BYTES: usize = 2_048;

/// Most bytes kept of a reason that is not in the table, or of a body that is not JSON. **Ours**.
pub const REASON_MAX_BYTES: usize = 128;

/// Most bytes kept of `apns-unique-id`. **Ours**: Apple sends a UUID of 36.
pub const UNIQUE_ID_MAX_BYTES: usize = 64;

/// Wait before a request answered with a 5xx is sent again. RESP: "after 15 minutes", with
/// back-off.
pub const SERVER_ERROR_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// Idle time after which a PING keeps a connection. SEND: "after an hour of inactivity".
pub const IDLE_BEFORE_PING: Duration = Duration::from_secs(60 * 60);

/// Port of the provider API. SEND.
pub const PROVIDER_PORT: u16 = 443;

/// Other port of the provider API, for networks that let no other HTTPS out. SEND.
pub const PROVIDER_ALTERNATE_PORT: u16 = 2197;

/// Host of the provider API for apps from the App Store, TestFlight and ad hoc builds. SEND.
pub const PRODUCTION_HOST: &str = "api.push.apple.com";

/// Host of the provider API for development builds. SEND.
pub const DEVELOPMENT_HOST: &str = "api.sandbox.push.apple.com";

/// Host of channel management in production. BC-CHAN.
pub const PRODUCTION_CHANNELS_HOST: &str = "api-manage-broadcast.push.apple.com";

/// Port of channel management in production. BC-CHAN.
pub const PRODUCTION_CHANNELS_PORT: u16 = 2196;

/// Host of channel management for development builds. BC-CHAN.
pub const DEVELOPMENT_CHANNELS_HOST: &str = "api-manage-broadcast.sandbox.push.apple.com";

/// Port of channel management for development builds. BC-CHAN.
pub const DEVELOPMENT_CHANNELS_PORT: u16 = 2195;

/// What a store's error begins with when it takes no writes and will not for a while, so that
/// trying again at once is of no use. **Ours**.
pub const STORE_UNAVAILABLE: &str = "the store cannot be written";

/// Longest key of the store, in bytes. **Ours**: `wit/store.wit`, as are the next three.
pub const STORE_KEY_MAX_BYTES: usize = 255;

/// Largest value of the store, in bytes. **Ours**.
pub const STORE_VALUE_MAX_BYTES: usize = 1024 * 1024;

/// Most keys of one call of the store. **Ours**.
pub const STORE_CALL_MAX_KEYS: usize = 1_024;

/// Most bytes of keys and values in one call of the store, and of values in its answer. **Ours**.
pub const STORE_CALL_MAX_BYTES: usize = 16 * 1024 * 1024;
