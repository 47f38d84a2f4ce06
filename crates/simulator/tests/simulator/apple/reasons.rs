//! Apple's two tables of reasons, row by row: each is reached by breaking its rule, or by a
//! scripted fault where the rule is Apple's own affair.

use dunlin_simulator::{
    BROADCAST_REASONS, Call, Channel, Config, Device, DeviceState, Environment, PUSH_REASONS,
    Simulator, StoragePolicy, TrustedKey,
};
use serde_json::json;

use crate::support::{Client, Key, NEW_CHANNEL, NOW_S, Push, TOPIC, config, control_json};

/// How a row is reached.
enum Cause {
    /// By one request.
    Rule(Push),
    /// By a request after another, which is accepted, on the same connection.
    After(Push, Push),
    /// By `POST /faults`, for this request.
    Fault(Push),
}

struct Bench {
    simulator: Simulator,
    keys: [Key; 4],
    channel: String,
}

/// A simulator that believes two keys of a team, one of production only, and one of another app.
async fn bench() -> Bench {
    let keys = ["KEY1", "KEY2", "KEY3", "KEY4"].map(|key_id| Key::new(key_id, "TEAM1"));
    let [one, two, production, elsewhere] = keys.each_ref().map(Key::trusted);
    let simulator = Simulator::start(Config {
        keys: vec![
            one,
            two,
            TrustedKey {
                environment: Some(Environment::Production),
                ..production
            },
            TrustedKey {
                topics: Some(vec!["com.example.other".into()]),
                ..elsewhere
            },
        ],
        broadcast_apps: Some(vec![TOPIC.into()]),
        max_channels_per_app: 1,
        ..config(&keys[0])
    })
    .await
    .unwrap();
    for (token, state) in [
        ("aa01", DeviceState::Unregistered),
        ("aa02", DeviceState::Expired),
    ] {
        simulator
            .add_device(Device::new(token).with_state(state, Some(1_458_114_061_260)))
            .unwrap();
    }
    let elsewhere = Device::new("aa03").with_topic("com.example.other");
    simulator.add_device(elsewhere).unwrap();
    let channel = Channel::new(TOPIC, StoragePolicy::NoMessage);
    let channel = simulator.add_channel(channel).unwrap();
    Bench {
        simulator,
        keys,
        channel,
    }
}

impl Bench {
    /// A provider token of the n-th key.
    fn token(&self, key: usize) -> String {
        self.keys[key].bearer(NOW_S)
    }

    fn push(&self) -> Push {
        Push::new(&self.token(0))
    }

    fn broadcast(&self) -> Push {
        Push::broadcast(&self.token(0), &self.channel)
    }

    fn manage(&self, method: &'static str) -> Push {
        Push::manage(method, &self.token(0), "channels").with("apns-channel-id", &self.channel)
    }

    fn cause_of_push(&self, reason: &str) -> Cause {
        let (good, old) = (self.push(), self.keys[0].bearer(NOW_S - 3601));
        Cause::Rule(match reason {
            "BadCollapseId" => good.with("apns-collapse-id", &"a".repeat(65)),
            "BadDeviceToken" => good.to("xyz"),
            "BadEnvironmentKeyIdInToken" => good.with("authorization", &self.token(2)),
            "BadExpirationDate" => good.with("apns-expiration", "soon"),
            "BadMessageId" => good.with("apns-id", "1"),
            "BadPath" => Push {
                path: "/3/devices/ab".into(),
                ..good
            },
            "BadPriority" => good.with("apns-priority", "9000"),
            "BadTopic" => good.with("apns-topic", "no topic"),
            "DeviceTokenNotForTopic" => good.to("aa03"),
            "DuplicateHeaders" => good.also("apns-topic", TOPIC),
            "ExpiredProviderToken" => good.with("authorization", &old),
            "ExpiredToken" => good.to("aa02"),
            "InvalidProviderToken" => good.with("authorization", "bearer no"),
            "InvalidPushType" => good.with("apns-push-type", "Alert"),
            "MethodNotAllowed" => Push {
                method: "GET",
                ..good
            },
            "MissingDeviceToken" => good.to(""),
            "MissingProviderToken" => good.without("authorization"),
            "MissingTopic" => good.without("apns-topic"),
            "PayloadEmpty" => good.body(""),
            "PayloadTooLarge" => good.body(vec![b' '; 4097]),
            "TooManyProviderTokenUpdates" => {
                let next = self.keys[0].bearer(NOW_S - 1);
                return Cause::After(good.clone(), good.with("authorization", &next));
            }
            "TopicDisallowed" => good.with("authorization", &self.token(3)),
            "UnrelatedKeyIdInToken" => {
                let other = good.clone().with("authorization", &self.token(1));
                return Cause::After(good, other);
            }
            "Unregistered" => good.to("aa01"),
            _ => return Cause::Fault(good),
        })
    }

    fn cause_of_broadcast(&self, reason: &str) -> Cause {
        let (good, old) = (self.broadcast(), self.keys[0].bearer(NOW_S - 3601));
        let to = |path: String, push: Push| Push { path, ..push };
        Cause::Rule(match reason {
            "BadChannelId" => good.with("apns-channel-id", "?"),
            "BadExpirationDate" => good.with("apns-expiration", "1700000000"),
            "BadMessageId" => good.with("apns-request-id", "1"),
            "BadPath" => to("/4/broadcasts/apps/".into(), good),
            "BadPriority" => good.without("apns-priority"),
            "BadRequestParams" => self.manage("POST").body(r#"{"colour":"red"}"#),
            "BadRequestPayload" => good.body("{"),
            "CannotCreateChannelConfig" => self.manage("POST").body(NEW_CHANNEL),
            "ChannelNotRegistered" => self.manage("DELETE").with("apns-channel-id", "Yg=="),
            "ExpiredProviderToken" => good.with("authorization", &old),
            "FeatureNotEnabled" => to("/4/broadcasts/apps/com.example.else".into(), good),
            "InvalidProviderToken" => good.with("authorization", "bearer no"),
            "InvalidPushType" => good.with("apns-push-type", "alert"),
            "MethodNotAllowed" => self.manage("PUT"),
            "MissingChannelId" => self.manage("GET").without("apns-channel-id"),
            "MissingProviderToken" => good.without("authorization"),
            "MissingPushType" => good.without("apns-push-type"),
            "PayloadEmpty" => good.body(""),
            "PayloadTooLarge" => good.body(vec![b' '; 5121]),
            "TooManyProviderTokenUpdates" => {
                let next = self.keys[0].bearer(NOW_S - 1);
                return Cause::After(good.clone(), good.with("authorization", &next));
            }
            "TopicDisallowed" => to(format!("/4/broadcasts/apps/{TOPIC}.voip"), good),
            "TopicMismatch" => good.with("authorization", &self.token(3)),
            _ => return Cause::Fault(good),
        })
    }

    /// Asks on a connection of its own; whether a rule gave the answer.
    async fn reach(&self, cause: Cause, expected: (u16, &str), call: Call) -> bool {
        let (first, push, is_rule) = match cause {
            Cause::Rule(push) => (None, push, true),
            Cause::After(first, push) => (Some(first), push, true),
            Cause::Fault(push) => (None, push, false),
        };
        let client = if push.path.starts_with("/1/") {
            Client::connect_for_channels(&self.simulator).await
        } else {
            Client::connect(&self.simulator).await
        };
        if let Some(first) = first {
            assert_eq!(client.push(first).await.unwrap().status, 200);
        }
        if !is_rule {
            // The reason alone: the status is Apple's.
            let fault = json!({"fault": "status", "reason": expected.1, "call": call, "times": 1});
            let (status, _) =
                control_json(&self.simulator, "POST", "/faults", &fault.to_string()).await;
            assert_eq!(status, 204);
        }
        let answer = client.push(push).await.unwrap();
        assert_eq!(answer.reason(), (expected.0, expected.1.to_owned()));
        let record = self.simulator.journal().pop().unwrap();
        let told = (record.status.unwrap(), record.reason.unwrap());
        assert_eq!(told, answer.reason());
        assert_eq!(record.fault.is_none(), is_rule, "{}", expected.1);
        is_rule
    }
}

#[tokio::test]
async fn every_reason_of_pushes_is_reached() {
    let bench = bench().await;
    let mut by_fault = Vec::new();
    for &(status, reason) in PUSH_REASONS {
        let cause = bench.cause_of_push(reason);
        if !bench.reach(cause, (status, reason), Call::Push).await {
            by_fault.push(reason);
        }
    }
    // What Apple decides by what it knows of itself and of certificates.
    let expected = [
        "IdleTimeout",
        "BadCertificate",
        "BadCertificateEnvironment",
        "Forbidden",
        "TooManyRequests",
        "InternalServerError",
        "ServiceUnavailable",
        "Shutdown",
    ];
    assert_eq!(by_fault, expected);
}

#[tokio::test]
async fn every_reason_of_broadcasts_and_channels_is_reached() {
    let bench = bench().await;
    let mut by_fault = Vec::new();
    for &(status, reason) in BROADCAST_REASONS {
        let cause = bench.cause_of_broadcast(reason);
        if !bench.reach(cause, (status, reason), Call::Broadcast).await {
            by_fault.push(reason);
        }
    }
    let expected = [
        "BadCertificate",
        "BadCertificateEnvironment",
        "TooManyRequests",
        "InternalServerError",
        "Service Unavailable",
        "Shutdown",
    ];
    assert_eq!(by_fault, expected);
}

#[tokio::test]
async fn the_spelling_that_apples_servers_were_seen_with_can_be_played() {
    let bench = bench().await;
    let cause = Cause::Fault(bench.push());
    let expected = (403, "BadEnvironmentKeyInToken");
    assert!(!bench.reach(cause, expected, Call::Push).await);
}
