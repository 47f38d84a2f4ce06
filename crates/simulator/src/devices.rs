//! Turns declarations ("this token is gone since then") into what APNs says about a device token.
//!
//! Source: `docs/protocols.md` 3.4 (400 BadDeviceToken, DeviceTokenNotForTopic; 410 Unregistered,
//! ExpiredToken with a timestamp in milliseconds), sections 1 and 2 (status 8, feedback) and
//! section 5 (tokens are hex, of any length).
//!
//! Limits: [`MAX_DEVICES`] declarations; one more is refused with an error. [`MAX_LEARNED`] tokens
//! whose environment was learned.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Environment;
use crate::reason::Reason;

/// A device token the simulator was told about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The token in hexadecimal; case does not matter.
    pub token: String,
    /// The only topic the token is good for, suffix included; `None` means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// What APNs thinks of it.
    #[serde(default)]
    pub state: DeviceState,
    /// For a device that is gone: when APNs found out, in milliseconds since 1970. `None` becomes
    /// the moment of the declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// The environment it is of, where both are played; `None` means that of the first push to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

impl Device {
    /// A valid device of any topic.
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            topic: None,
            state: DeviceState::Valid,
            since_ms: None,
            environment: None,
        }
    }

    /// The same, of this environment.
    pub fn with_environment(self, environment: Environment) -> Self {
        Self {
            environment: Some(environment),
            ..self
        }
    }

    /// The same, for one topic only.
    pub fn with_topic(self, topic: impl Into<String>) -> Self {
        Self {
            topic: Some(topic.into()),
            ..self
        }
    }

    /// The same, in another state since `since_ms`.
    pub fn with_state(self, state: DeviceState, since_ms: Option<u64>) -> Self {
        Self {
            state,
            since_ms,
            ..self
        }
    }
}

/// What APNs thinks of a device token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// It takes notifications.
    #[default]
    Valid,
    /// 410 `Unregistered`: the app was removed. The binary gateway takes the notification, and the
    /// feedback service gets the token.
    Unregistered,
    /// 410 `ExpiredToken`. At the binary gateway the same as `Unregistered`.
    Expired,
    /// 400 `BadDeviceToken`: it belongs to the other environment than the simulator's own. Status 8
    /// of the binary gateway. Where both are played it is a device of the second one.
    OtherEnvironment,
}

/// Why a device cannot be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// The token is not an even number of hexadecimal digits, 2 to 1,024 of them.
    Token {
        /// How many characters it has.
        length: usize,
    },
    /// [`MAX_DEVICES`] are declared already.
    Full,
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { length } => write!(
                f,
                "expected a token of 2 to {MAX_TOKEN_DIGITS} hexadecimal digits, an even number, \
                 got {length} characters that are not"
            ),
            Self::Full => write!(f, "expected at most {MAX_DEVICES} devices, got one more"),
        }
    }
}

impl std::error::Error for DeviceError {}

/// Every declared device, by lowercase token, and of which environments tokens are.
#[derive(Default)]
pub(crate) struct Devices {
    declared: HashMap<String, Device>,
    /// By the first push to each.
    learned: HashMap<String, Environment>,
    /// In the order they were learned.
    order: VecDeque<String>,
}

impl Devices {
    /// Declares a device, or declares it anew.
    pub(crate) fn declare(&mut self, mut device: Device, now_ms: u64) -> Result<(), DeviceError> {
        if !is_token(&device.token) {
            return Err(DeviceError::Token {
                length: device.token.len(),
            });
        }
        device.token.make_ascii_lowercase();
        if self.declared.len() >= MAX_DEVICES && !self.declared.contains_key(&device.token) {
            return Err(DeviceError::Full);
        }
        if matches!(
            device.state,
            DeviceState::Unregistered | DeviceState::Expired
        ) {
            device.since_ms.get_or_insert(now_ms);
        }
        self.declared.insert(device.token.clone(), device);
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// All of them, in the order of their tokens.
    pub(crate) fn list(&self) -> Vec<Device> {
        let mut all: Vec<Device> = self.declared.values().cloned().collect();
        all.sort_by(|a, b| a.token.cmp(&b.token));
        all
    }

    /// Whether the token is declared at all.
    pub(crate) fn is_declared(&self, token: &str) -> bool {
        self.find(token).is_some()
    }

    /// Whether the token is declared for a topic other than `topic`.
    pub(crate) fn is_for_another_topic(&self, token: &str, topic: &str) -> bool {
        self.find(token)
            .and_then(|device| device.topic.as_deref())
            .is_some_and(|own| own != topic)
    }

    /// What stands in the way of a notification to `token`, with the time for a 410.
    pub(crate) fn obstacle(
        &self,
        token: &str,
        declared_only: bool,
    ) -> Option<(Reason, Option<u64>)> {
        let Some(device) = self.find(token) else {
            return declared_only.then_some((Reason::BadDeviceToken, None));
        };
        match device.state {
            DeviceState::Valid => None,
            DeviceState::Unregistered => Some((Reason::Unregistered, device.since_ms)),
            DeviceState::Expired => Some((Reason::ExpiredToken, device.since_ms)),
            DeviceState::OtherEnvironment => Some((Reason::BadDeviceToken, None)),
        }
    }

    /// The environment a token is of, where there are two: `asked`, to which a push to it has come,
    /// if nothing is known of it. `home` is the simulator's own.
    pub(crate) fn environment_of(
        &mut self,
        token: &str,
        asked: Environment,
        home: Environment,
    ) -> Environment {
        if let Some(device) = self.find(token) {
            match (device.environment, device.state) {
                (Some(environment), _) => return environment,
                (None, DeviceState::OtherEnvironment) => return home.other(),
                (None, _) => {}
            }
        }
        let token = token.to_ascii_lowercase();
        if let Some(known) = self.learned.get(&token) {
            return *known;
        }
        if self.order.len() >= MAX_LEARNED
            && let Some(oldest) = self.order.pop_front()
        {
            self.learned.remove(&oldest);
        }
        self.order.push_back(token.clone());
        self.learned.insert(token, asked);
        asked
    }

    fn find(&self, token: &str) -> Option<&Device> {
        self.declared
            .get(token)
            .or_else(|| self.declared.get(&token.to_ascii_lowercase()))
    }
}

/// Whether `text` is a device token in hexadecimal.
pub(crate) fn is_token(text: &str) -> bool {
    (2..=MAX_TOKEN_DIGITS).contains(&text.len())
        && text.len().is_multiple_of(2)
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Declared devices at most; about 300 bytes each, and a kilobyte more with the longest tokens.
pub const MAX_DEVICES: usize = 100_000;

/// Tokens whose environment is known by the first push to them; of one more the oldest is
/// forgotten, and learned anew.
const MAX_LEARNED: usize = 100_000;

/// 512 bytes. Apple says to assume no length; the gateway has a bound of its own.
const MAX_TOKEN_DIGITS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_even_hexadecimal_up_to_512_bytes() {
        for good in ["ab", "AB01", &"0f".repeat(512)] {
            assert!(is_token(good), "{good}");
        }
        for bad in ["", "a", "abc", "zz", "ab cd", "ab/cd", &"0f".repeat(513)] {
            assert!(!is_token(bad), "{bad}");
        }
    }

    #[test]
    fn a_later_declaration_replaces_an_earlier_one_whatever_the_case() {
        let mut devices = Devices::default();
        let gone = Device::new("AB").with_state(DeviceState::Unregistered, Some(7));
        devices.declare(gone, 100).unwrap();
        assert_eq!(
            devices.obstacle("ab", false),
            Some((Reason::Unregistered, Some(7)))
        );
        devices.declare(Device::new("ab"), 100).unwrap();
        assert_eq!(devices.obstacle("aB", false), None);
        assert_eq!(devices.list().len(), 1);
    }

    #[test]
    fn a_device_gone_without_a_date_is_gone_since_the_declaration() {
        let mut devices = Devices::default();
        devices
            .declare(
                Device::new("ab").with_state(DeviceState::Expired, None),
                100,
            )
            .unwrap();
        assert_eq!(
            devices.obstacle("ab", false),
            Some((Reason::ExpiredToken, Some(100)))
        );
    }

    #[test]
    fn an_undeclared_token_is_an_obstacle_only_if_asked_for() {
        let devices = Devices::default();
        assert_eq!(devices.obstacle("ab", false), None);
        assert_eq!(
            devices.obstacle("ab", true),
            Some((Reason::BadDeviceToken, None))
        );
    }

    #[test]
    fn a_token_belongs_to_its_declared_topic_only() {
        let mut devices = Devices::default();
        devices
            .declare(Device::new("ab").with_topic("com.example.app"), 0)
            .unwrap();
        assert!(!devices.is_for_another_topic("AB", "com.example.app"));
        assert!(devices.is_for_another_topic("ab", "com.example.app.voip"));
        assert!(!devices.is_for_another_topic("cd", "com.example.other"));
    }

    #[test]
    fn a_token_is_of_the_environment_it_was_declared_for_or_used_in_first() {
        let (development, production) = (Environment::Development, Environment::Production);
        let mut devices = Devices::default();
        devices
            .declare(Device::new("ab").with_environment(production), 0)
            .unwrap();
        let elsewhere = Device::new("cd").with_state(DeviceState::OtherEnvironment, None);
        devices.declare(elsewhere, 0).unwrap();
        devices.declare(Device::new("ef"), 0).unwrap();
        let mut owner = |token: &str, asked| devices.environment_of(token, asked, development);
        assert_eq!(owner("AB", development), production);
        assert_eq!(owner("cd", development), production);
        for (token, first) in [("ef", production), ("01", development)] {
            assert_eq!(owner(token, first), first, "{token}");
            assert_eq!(
                owner(&token.to_uppercase(), first.other()),
                first,
                "{token}"
            );
        }
        devices.clear();
        assert_eq!(
            devices.environment_of("01", production, development),
            production
        );
    }

    #[test]
    fn of_learned_tokens_the_oldest_makes_way() {
        let (development, production) = (Environment::Development, Environment::Production);
        let mut devices = Devices::default();
        for number in 0..=MAX_LEARNED {
            devices.environment_of(&format!("{number:08x}"), development, development);
        }
        assert_eq!(devices.learned.len(), MAX_LEARNED);
        assert_eq!(devices.order.len(), MAX_LEARNED);
        let owner = devices.environment_of("00000001", production, development);
        assert_eq!(owner, development, "the second is still known");
        let owner = devices.environment_of("00000000", production, development);
        assert_eq!(owner, production, "the first is learned anew");
    }

    #[test]
    fn one_device_too_many_is_refused_but_a_known_one_is_not() {
        let mut devices = Devices::default();
        for number in 0..MAX_DEVICES {
            devices
                .declare(Device::new(format!("{number:08x}")), 0)
                .unwrap();
        }
        assert_eq!(
            devices.declare(Device::new("ffffffff"), 0),
            Err(DeviceError::Full)
        );
        assert_eq!(devices.declare(Device::new("00000000"), 0), Ok(()));
    }
}
