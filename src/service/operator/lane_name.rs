//! What the operator is told that a lane is: whose, in which environment, and where it leads.

/// What a lane is called in front of its operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneName {
    /// `key ABC123DEFG of team DEF123GHIJ` or `identity shop`.
    pub credential: String,
    /// `development` or `production`.
    pub environment: &'static str,
    /// `api.push.apple.com:443`.
    pub address: String,
    /// Whether it shows a client certificate.
    pub has_certificate: bool,
}

impl LaneName {
    /// Who, and where they are good.
    pub(super) fn who(&self) -> String {
        format!("{}, {}", self.credential, self.environment)
    }

    /// Who, and whom they ask.
    pub(super) fn full_name(&self) -> String {
        format!("{} to {}", self.who(), self.address)
    }

    /// Whom is asked, and with which certificate: that may be why there is no connection.
    pub(super) fn place(&self) -> String {
        match self.has_certificate {
            true => format!("{} as {}", self.address, self.credential),
            false => self.address.clone(),
        }
    }
}
