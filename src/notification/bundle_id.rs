//! A [`Topic`] without a push type's suffix, as a [`BundleId`].
//!
//! Source: Apple, *Sending broadcast push notification requests to APNs* and *Sending channel
//! management requests to APNs*: the path names the app by its bundle identifier alone; with a
//! suffix it is answered `TopicDisallowed`.

use core::fmt;

use super::error::InvalidNotification;
use super::{PushType, Topic};

/// An app: a topic that ends as no push type with a suffix of its own must. Legal in a path as it
/// is.
///
/// Cloning shares the text. What a bundle identifier may end with by chance, such as `.voip`, is
/// let through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId(Topic);

impl BundleId {
    /// From a topic.
    ///
    /// # Errors
    /// [`rule::TOPIC_SUFFIX`](super::rule::TOPIC_SUFFIX).
    pub fn new(topic: Topic) -> Result<Self, InvalidNotification> {
        // The topic of an alert is the bundle identifier.
        PushType::Alert.check_topic(&topic)?;
        Ok(Self(topic))
    }

    /// The same as a topic, which is what credentials and API keys are bound to.
    pub const fn as_topic(&self) -> &Topic {
        &self.0
    }

    /// As it stands in a path.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule;
    use super::*;

    #[test]
    fn an_app_is_named_without_suffix() {
        for text in ["com.example.app", "com.example.voip"] {
            let id = BundleId::new(Topic::parse(text).unwrap()).unwrap();
            assert_eq!((id.as_str(), id.as_topic().as_str()), (text, text));
        }
        let topic = Topic::parse("com.example.app.push-type.liveactivity").unwrap();
        assert_eq!(BundleId::new(topic).unwrap_err().rule(), rule::TOPIC_SUFFIX);
    }
}
