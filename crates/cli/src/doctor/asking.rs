//! Each credential turned into a question to APNs: whether it is known there.
//!
//! ```text
//! credential × environment ─► the way of a push ─► TLS, with the certificate if it is one
//!    ─► for each topic: POST /3/device/000…0, with a provider token if it is a key
//!       ─► 400 BadDeviceToken: it is taken     403 InvalidProviderToken and its like: it is not
//! ```
//!
//! No device has a token of zeros, so nobody is notified; should somebody have it, the notification
//! is one that shows nothing, is tried once, and is not kept.
//!
//! APNs does not like new provider tokens of a key within 20 minutes. The time of one made here is
//! that of the last whole 20 minutes, and signatures are deterministic (RFC 6979), so that however
//! often this is asked in that time, the token is the same. It is none of the running service's:
//! those are in its store.
//!
//! Limits: [`MAX_TOPICS`] topics of a credential; the caller's patience for each credential and
//! environment.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use dunlin::auth::{ProviderToken, SigningKey};
use dunlin::config::{ApnsService, Credential, Settings, TokenKey};
use dunlin::environment::Environment;
use dunlin::limits::{PRIVATE_KEY_FILE_MAX_BYTES, PROVIDER_TOKEN_MIN_AGE};
use dunlin::notification::Topic;
use dunlin::provider::Reason;
use dunlin::service::{Kind, Refusal};
use dunlin::time::UnixTime;
use dunlin::tls_name::Protocol;
use dunlin_host::wasi::tls::{Provider, read_file};
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use super::connection::{AT_ONCE, ServerKind, ServerReply, Target, chain};
use super::report::{Line, Severity};
use super::route::Routes;
use crate::config::is_reached;

/// Most topics of a credential that are asked about. Ours.
const MAX_TOPICS: usize = 10;

/// A token that no device has: 32 bytes of zeros.
const PATH: &str = "/3/device/0000000000000000000000000000000000000000000000000000000000000000";

/// Shows nothing.
const PAYLOAD: &str = r#"{"aps":{"content-available":1}}"#;

/// One credential in one environment.
pub(super) struct Question {
    subject: String,
    /// What it is, for sentences.
    what: &'static str,
    pub(super) target: Target,
    token: Option<ProviderToken>,
    /// `None` if none is named.
    topics: Vec<Option<Topic>>,
}

/// What there is to ask. A key that cannot be read has its own line, and is not asked about.
pub(super) fn questions(folder: &Path, settings: &Settings, now: UnixTime) -> Vec<Question> {
    let mut questions = Vec::new();
    for credential in settings.credentials() {
        let token = match credential.key().map(|key| token(folder, key, now)) {
            Some(None) => continue,
            token => token.flatten(),
        };
        for environment in credential.environments() {
            questions.push(question(settings, credential, *environment, token.clone()));
        }
    }
    questions
}

fn question(
    settings: &Settings,
    credential: &Credential,
    environment: Environment,
    token: Option<ProviderToken>,
) -> Question {
    let endpoint = settings.endpoint(environment).clone();
    let identity = credential.identity().map(str::to_owned);
    let topics = credential.topics().iter().take(MAX_TOPICS).cloned();
    let topics: Vec<_> = topics.map(Some).collect();
    Question {
        subject: format!("credential {credential}, {environment}"),
        what: match identity {
            Some(_) => "certificate",
            None => "key",
        },
        target: Target {
            is_proxied: settings.proxy_for(&endpoint.host).is_some(),
            service: ServerKind::Http2(ApnsService::Push, identity),
            endpoint,
        },
        token,
        topics: match topics.is_empty() {
            true => vec![None],
            false => topics,
        },
    }
}

/// The provider token of a key; `None` if its file cannot be used.
fn token(folder: &Path, key: &TokenKey, now: UnixTime) -> Option<ProviderToken> {
    if !is_reached(folder, Path::new(&key.key_file)) {
        return None;
    }
    let file = read_file(&folder.join(&key.key_file), PRIVATE_KEY_FILE_MAX_BYTES).ok()?;
    let signing = SigningKey::from_pem(std::str::from_utf8(&file).ok()?).ok()?;
    let interval = PROVIDER_TOKEN_MIN_AGE.as_secs();
    let issued_at = UnixTime::from_secs(now.as_secs() / interval * interval);
    Some(ProviderToken::sign(
        &signing,
        key.key_id,
        key.team_id,
        issued_at,
    ))
}

/// Asks all of them; the lines are in the order of the questions.
pub(super) async fn ask(
    questions: Vec<Question>,
    provider: &Provider,
    routes: &Routes<'_>,
    patience: Duration,
) -> Vec<Line> {
    let asked = stream::iter(questions)
        .map(|question| async move { question.ask(provider, routes, patience).await })
        .buffered(AT_ONCE);
    asked.concat().await
}

impl Question {
    /// The line of one that cannot be asked, because something else is wrong.
    pub(super) fn skipped(&self) -> Line {
        let what = "not asked, because of the error above";
        let advice = "Correct that and run this again.";
        Line::new(Severity::Note, &self.subject, what, advice)
    }

    async fn ask(self, provider: &Provider, routes: &Routes<'_>, patience: Duration) -> Vec<Line> {
        let until = Instant::now() + patience;
        let identity = match &self.target.service {
            ServerKind::Http2(_, identity) => identity.clone(),
            ServerKind::Gateway(_) | ServerKind::Feedback => None,
        };
        let Ok(tcp) = routes.connect(&self.target, until).await else {
            return vec![self.skipped()];
        };
        let secured = self
            .target
            .secure(provider, Protocol::Http2, identity, tcp, until);
        let Ok(stream) = secured.await else {
            return vec![self.skipped()];
        };
        let asked = timeout_at(until, self.ask_on(stream)).await;
        match asked {
            Ok(Ok(lines)) => lines,
            Ok(Err(why)) => vec![self.unanswered(&why)],
            Err(_) => vec![self.unanswered("no answer")],
        }
    }

    fn unanswered(&self, why: &str) -> Line {
        let Self { subject, what, .. } = self;
        let what = format!("expected APNs to say whether it takes the {what}, got {why}");
        Line::new(Severity::Error, subject, what, SILENT)
    }

    /// All topics on one connection, one after the other: before its first answer it takes no more.
    async fn ask_on(&self, stream: TlsStream<TcpStream>) -> Result<Vec<Line>, String> {
        let io = TokioIo::new(stream);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (mut sender, connection) = handshake.await.map_err(|error| chain(&error))?;
        let running = tokio::spawn(connection);
        let mut lines = Vec::new();
        for topic in &self.topics {
            match self.ask_about(&mut sender, topic.as_ref()).await {
                Ok(answer) => lines.push(self.judged(topic.as_ref(), &answer)),
                // What ended the connection says more than what became of the request.
                Err(why) => {
                    drop(sender);
                    return match running.await {
                        Ok(Err(ended)) => Err(chain(&ended)),
                        _ => Err(why),
                    };
                }
            }
        }
        running.abort();
        Ok(lines)
    }

    async fn ask_about(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        topic: Option<&Topic>,
    ) -> Result<ServerReply, String> {
        let uri = format!("https://{}{PATH}", self.target.endpoint.uri_host());
        let mut request = Request::post(uri)
            .header("apns-push-type", "background")
            .header("apns-priority", "5")
            .header("apns-expiration", "0");
        if let Some(topic) = topic {
            request = request.header("apns-topic", topic.as_str());
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", token.authorization());
        }
        let request = request.body(Full::from(PAYLOAD));
        let request = request.map_err(|error| chain(&error))?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| chain(&error))?;
        Ok(self.target.answer(response).await)
    }

    /// What an answer says of the credential.
    fn judged(&self, topic: Option<&Topic>, answer: &ServerReply) -> Line {
        let Self { subject, what, .. } = self;
        let ServerReply { status, reason, .. } = answer;
        let about = topic.map_or_else(String::new, |topic| format!(" for {topic}"));
        let line =
            |severity, text: String, advice: &str| Line::new(severity, subject, text, advice);
        let is_silent = matches!(reason, Reason::Missing | Reason::NotJson(_));
        let got = format!("got {status} {reason}");
        if is_silent && !(200..300).contains(status) {
            let text = format!("expected APNs to say whether it takes the {what}{about}, {got}");
            return line(Severity::Warning, text, NOT_APNS);
        }
        match Refusal::of_reason(reason, *status) {
            _ if *reason == Reason::TooManyProviderTokenUpdates => {
                let text =
                    format!("APNs knows the {what}, and has seen another token of it lately");
                line(Severity::Note, text, LATER)
            }
            Some(Refusal { kind, remedy }) => {
                let thing = match kind {
                    Kind::Credential | Kind::Certificate => format!("the {what}{about}"),
                    Kind::Topic => format!("the topic with this {what}{about}"),
                };
                let text = format!("expected APNs to take {thing}, {got}");
                line(Severity::Error, text, &format!("{remedy}."))
            }
            None if *status >= 500 => {
                let text =
                    format!("expected APNs to say whether it takes the {what}{about}, {got}");
                line(Severity::Warning, text, LATER)
            }
            None if *status < 300 => {
                let text = format!("APNs takes the {what}{about}: it accepted a push to no device");
                line(Severity::Ok, text, "")
            }
            None => {
                let text = format!(
                    "APNs takes the {what}{about}: a push to no device was answered {status} \
                     {reason}"
                );
                line(Severity::Ok, text, "")
            }
        }
    }
}

const SILENT: &str = "\
    Run this again; if it stays so, check that no proxy answers in place of APNs.";
const NOT_APNS: &str = "\
    APNs gives a reason: check host and port in the configuration, and that no proxy answers in \
    its place.";
const LATER: &str = "Run this again in 20 minutes.";

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [[credentials]]
        key_id = "ABC123DEFG"
        team_id = "DEF123GHIJ"
        key_file = "a.p8"
        [[credentials]]
        identity = "shop"
        topics = ["a.b", "a.c"]
        environments = ["production"]
    "#;

    fn answered(status: u16, reason: &str) -> ServerReply {
        ServerReply {
            status,
            reason: match reason {
                "" => Reason::Missing,
                reason => Reason::parse(reason),
            },
            date: None,
        }
    }

    fn a_question() -> Question {
        let settings = Settings::parse(CONFIG).unwrap();
        let credential = &settings.credentials()[0];
        question(&settings, credential, Environment::Production, None)
    }

    #[test]
    fn every_credential_is_asked_about_in_each_environment_for_each_topic() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::parse(CONFIG).unwrap();
        let asked = |count: usize| {
            let questions = questions(folder.path(), &settings, UnixTime::from_secs(1_000_000));
            assert_eq!(questions.len(), count);
            questions
        };
        // Its file has a line of its own.
        asked(1);
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        std::fs::write(folder.path().join("a.p8"), key.serialize_pem()).unwrap();
        let questions = asked(3);
        let subjects: Vec<&str> = questions.iter().map(|it| it.subject.as_str()).collect();
        assert_eq!(
            subjects,
            [
                "credential key ABC123DEFG of team DEF123GHIJ, development",
                "credential key ABC123DEFG of team DEF123GHIJ, production",
                "credential identity shop, production",
            ]
        );
        let topics: Vec<usize> = questions.iter().map(|it| it.topics.len()).collect();
        assert_eq!(topics, [1, 1, 2]);
        assert!(questions[2].token.is_none());
        let issued = questions[0].token.as_ref().unwrap().issued_at().as_secs();
        assert_eq!(issued, 999_600, "the last whole twenty minutes");
    }

    #[test]
    fn within_twenty_minutes_the_token_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        std::fs::write(folder.path().join("a.p8"), key.serialize_pem()).unwrap();
        let settings = Settings::parse(CONFIG).unwrap();
        let token = |secs| {
            let questions = questions(folder.path(), &settings, UnixTime::from_secs(secs));
            questions[0].token.clone().unwrap()
        };
        assert_eq!(token(1_200_000), token(1_201_199));
        assert_ne!(token(1_200_000), token(1_201_200));
    }

    #[test]
    fn what_apns_says_is_what_is_known_of_the_credential() {
        let question = a_question();
        let topic = Topic::parse("a.b").unwrap();
        for (status, reason, severity) in [
            (400, "BadDeviceToken", Severity::Ok),
            (400, "MissingTopic", Severity::Ok),
            (410, "Unregistered", Severity::Ok),
            (200, "", Severity::Ok),
            (403, "InvalidProviderToken", Severity::Error),
            (403, "ExpiredProviderToken", Severity::Error),
            (403, "BadEnvironmentKeyIdInToken", Severity::Error),
            (403, "BadCertificate", Severity::Error),
            (403, "SomethingNew", Severity::Error),
            (400, "TopicDisallowed", Severity::Error),
            (429, "TooManyProviderTokenUpdates", Severity::Note),
            (503, "ServiceUnavailable", Severity::Warning),
            (403, "", Severity::Warning),
            (404, "", Severity::Warning),
        ] {
            let line = question.judged(Some(&topic), &answered(status, reason));
            assert_eq!(line.severity, severity, "{line:?}");
            assert!(
                line.advice.is_empty() || line.advice.ends_with('.'),
                "{line:?}"
            );
            assert_eq!(line.advice.is_empty(), severity == Severity::Ok);
        }
    }
}
