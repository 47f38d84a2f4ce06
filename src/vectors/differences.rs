//! Where other libraries' habits are not copied, and why.

use serde_json::Value;

/// Some values that some rows of a kind expect and that are not what happens here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Difference {
    pub(super) kind: &'static str,
    /// A part of a row's input, or of that and its source, which stands after it. No other row of
    /// the kind has it.
    pub(super) inputs: &'static [&'static str],
    /// The values, as names joined by slashes.
    pub(super) keys: &'static [&'static str],
    pub(super) here: Here,
    pub(super) why: &'static str,
}

/// What happens instead.
#[derive(Clone, Copy, Debug)]
pub(super) enum Here {
    /// JSON that is observed.
    Does(&'static str),
    /// It is no matter of this crate: a test in another, named `path::test`, reads the same values.
    JudgedBy(&'static str),
}

impl Difference {
    /// What has to be observed.
    pub(super) fn observed(&self) -> Value {
        match self.here {
            Here::Does(json) => serde_json::from_str(json).unwrap(),
            Here::JudgedBy(_) => Value::Object(serde_json::Map::new()),
        }
    }
}

const SIMULATED_PUSH: Here = Here::JudgedBy(
    "crates/simulator/tests/simulator/apple/vectors.rs::mock_server_rule_of_the_provider_api",
);
const SIMULATED_FRAME: Here = Here::JudgedBy(
    "crates/simulator/tests/simulator/apple/vectors.rs::mock_server_rule_of_the_gateway",
);

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        kind: "binary_cmd1_fields",
        inputs: &["expiry_utc"],
        keys: &["default_expiry"],
        here: Here::Does(r#"{"default_expiry":"7fffffff"}"#),
        why: "grocer sends 0, which asks to try once; what is left to APNs may be kept for long",
    },
    Difference {
        kind: "binary_cmd2_bad_token",
        inputs: &["<ce8be627"],
        keys: &["item1_hex"],
        here: Here::Does(r#"{"item1_hex":"010010ce8be6272e43e85516033e24b4c28922"}"#),
        why: "houston pads a token of 16 bytes to 32 with zeros; a token goes out as it is",
    },
    Difference {
        kind: "broadcast_request",
        inputs: &["io.apn.channel"],
        keys: &["headers/apns-priority", "headers/apns-request-id"],
        here: Here::Does(
            r#"{
                "headers": {"apns-priority": "5", "apns-request-id": {"error": "id-malformed"}},
                "headers_of_call": {"apns-channel-id": "io.apn.channel"},
                "names": {
                    "of a call": ["apns-channel-id"],
                    "of a broadcast": [
                        "apns-channel-id", "apns-expiration", "apns-priority", "apns-push-type"
                    ]
                }
            }"#,
        ),
        why: "node-apn sends another priority than was asked for, any text as the identifier of \
              the request, where Apple wants a UUID, and the headers of broadcasts with calls \
              about channels, where they mean nothing",
    },
    Difference {
        kind: "endpoint",
        inputs: &["\"binary\""],
        keys: &["sandbox", "production"],
        here: Here::Does(
            r#"{
                "sandbox": ["gateway:2195", "feedback:2196"],
                "production": ["gateway:2195", "feedback:2196"]
            }"#,
        ),
        why: "Apple retired the hosts: an address that is not configured is not there, and what is \
              left of Apple's are the ports",
    },
    Difference {
        kind: "error_frame_bad_command",
        inputs: &[
            "010100003039",
            "040400003039",
            "050500003039",
            "ffff00003039",
        ],
        keys: &["zend_status", "identifier"],
        here: Here::Does(r#"{"error":"another command"}"#),
        why: "Zend's fixtures have the status in the place of the command, too; what has another \
              command is no error response",
    },
    Difference {
        kind: "error_frame_invalid",
        inputs: &["73686f7274"],
        keys: &["error"],
        here: Here::Does(r#"{"error":"another command"}"#),
        why: "grocer waits for six bytes; the first says already that it is no error response",
    },
    Difference {
        kind: "error_frame_real",
        inputs: &["item boundaries shift"],
        keys: &["status_seen", "status_after_fix"],
        here: Here::Does(r#"{"item1_hex":"01001007070707070707070707070707070707"}"#),
        why: "what APNs says of shifted items cannot come about: a length is that of its data",
    },
    Difference {
        kind: "feedback_invalid",
        inputs: &["read timeout"],
        keys: &["error"],
        here: Here::Does(r#"{"error":null,"tuples":[]}"#),
        why: "how long to wait is decided by whoever reads the connection; no bytes are no tuples",
    },
    Difference {
        kind: "http2_request",
        inputs: &["\"123\""],
        keys: &["body", "headers"],
        here: Here::Does(r#"{"error":"token-odd-digits"}"#),
        why: "pushok takes a token that is one and a half bytes long",
    },
    Difference {
        kind: "http2_request",
        inputs: &["unix 0"],
        keys: &["absent"],
        here: Here::Does(r#"{"headers":{"apns-expiration":"0"}}"#),
        why: "apns2 drops an expiration of 0, which asks to try once, and makes it the default",
    },
    Difference {
        kind: "http2_response",
        inputs: &["{{MalformedJSON}}"],
        keys: &["error"],
        here: Here::Does(r#"{"sent":true,"error":null}"#),
        why: "apns2 makes an error of a success whose body is no JSON, and its caller sends again",
    },
    Difference {
        kind: "jwt",
        inputs: &["test-key"],
        keys: &["header"],
        here: Here::Does(r#"{"error":"not a key identifier"}"#),
        why: "pushy takes a key identifier of any form; Apple's have ten characters",
    },
    Difference {
        kind: "jwt_refresh",
        inputs: &["2880"],
        keys: &["same_token"],
        here: Here::Does(r#"{"same_token":false,"used":true,"may_be_renewed":true}"#),
        why: "APNSwift makes no new token before 55 minutes; here it is replaced from 40 on, while \
              it is still good, so that a fleet has time to agree",
    },
    Difference {
        kind: "jwt_refresh",
        inputs: &["lifetime_s"],
        keys: &["same"],
        here: Here::Does(r#"{"same":[true,true]}"#),
        why: "PyAPNs2 lets a token live for 30 seconds, which APNs answers with \
              TooManyProviderTokenUpdates",
    },
    Difference {
        kind: "mock_server_rule",
        inputs: &[
            "unknown kid",
            "legit authorization header",
            "known but expired",
            "header absent",
            "legit token",
        ],
        keys: &["status", "reason"],
        here: SIMULATED_PUSH,
        why: "what a server knows of keys and devices is not known before a push is sent",
    },
    Difference {
        kind: "mock_server_rule",
        inputs: &["item 1 length 0", "item 1 length != 32", "item 2 length 0"],
        keys: &["status"],
        here: SIMULATED_FRAME,
        why: "a message that is refused before it is sent has no status of the gateway",
    },
    Difference {
        kind: "mock_server_rule",
        inputs: &["item 1 length != 32"],
        keys: &["name"],
        here: Here::Does(r#"{"accepted":true}"#),
        why: "Apple says not to make assumptions about the size of a token",
    },
    Difference {
        kind: "payload_json",
        inputs: &["\"alert\":\"sample\""],
        keys: &["identifier", "expiration", "priority"],
        here: Here::Does(r#"{"json":"{\"aps\":{\"alert\":\"sample\"},\"foo\":\"bar\"}"}"#),
        why: "these are fields of the message around the payload, and the input has none of them",
    },
    Difference {
        kind: "payload_json",
        inputs: &["scoreboard"],
        keys: &["json"],
        here: Here::Does(concat!(
            r#"{"json":"{\"aps\":{\"alert\":{\"body\":\"USA scores!\",\"loc-key\":\"game\","#,
            r#"\"loc-args\":[\"USA\",\"BRA\"],\"launch-image\":\"scoreboard\"}}}"}"#,
        )),
        why: "what the row has is an alert alone, which stands in a payload",
    },
    Difference {
        kind: "payload_json",
        inputs: &["{\"content_available\":true} reown-com/a2"],
        keys: &["json"],
        here: Here::Does(r#"{"json":"{\"aps\":{\"content-available\":1}}"}"#),
        why: "a2 writes a mutable-content of 0 with everything, which is as good as none",
    },
    Difference {
        kind: "payload_json",
        inputs: &["kulli"],
        keys: &["json"],
        here: Here::Does(concat!(
            r#"{"json":"{\"aps\":{\"alert\":{\"body\":\"kulli\"}},"#,
            r#"\"custom\":{\"key_str\":\"foo\",\"key_num\":42,\"key_bool\":false,"#,
            r#"\"key_struct\":{\"nothing\":\"here\"}}}"}"#,
        )),
        why: "a2 makes a string of an alert that has a body alone, and adds a mutable-content of 0",
    },
    Difference {
        kind: "payload_quirk",
        inputs: &["badge"],
        keys: &["badge"],
        here: Here::Does(r#"{"badge":0}"#),
        why: "anachronistic/apns writes -1 for the documented 0",
    },
    Difference {
        kind: "payload_quirk",
        inputs: &["content_available"],
        keys: &["json"],
        here: Here::Does(r#"{"json":"{\"aps\":{\"content-available\":1}}"}"#),
        why: "dotAPNS writes the string \"1\" for the documented number",
    },
    Difference {
        kind: "payload_size",
        inputs: &["4097"],
        keys: &["status"],
        here: Here::Does(r#"{"status":400}"#),
        why: "413 is what APNs would say of the payload; a caller's request is wrong in one field",
    },
    Difference {
        kind: "payload_trim",
        inputs: &["\\\"X\\\" * 2050"],
        keys: &["alert_chars"],
        here: Here::Does(r#"{"alert_chars":2050,"sent":"as it came"}"#),
        why: "em-apn cuts alerts, and counts the message around the payload; nothing is cut here",
    },
    Difference {
        kind: "payload_trim",
        inputs: &["U+E008"],
        keys: &["alert_chars"],
        here: Here::Does(r#"{"error":"payload-too-large"}"#),
        why: "em-apn cuts alerts; what is larger than any payload may be is refused",
    },
    Difference {
        kind: "payload_trim",
        inputs: &["lorem ipsum"],
        keys: &["bytes", "alert"],
        here: Here::Does(r#"{"bytes":1120,"sent":"as it came"}"#),
        why: "apns4ex cuts alerts to fit a limit of the caller's; nothing is cut here",
    },
    Difference {
        kind: "payload_trim",
        inputs: &["\"long text\""],
        keys: &["bytes"],
        here: Here::Does(r#"{"bytes":29,"sent":"as it came"}"#),
        why: "node-apn cuts alerts to fit; these words stand for a text that is not in the row",
    },
    Difference {
        kind: "payload_trim",
        inputs: &["ありがとう"],
        keys: &["bytes_max", "alert"],
        here: Here::Does(r#"{"bytes":470,"sent":"as it came"}"#),
        why: "apns4ex cuts alerts to fit a limit of the caller's; nothing is cut here",
    },
    Difference {
        kind: "payload_trim",
        inputs: &["\"what\""],
        keys: &["alert_present"],
        here: Here::Does(r#"{"alert_present":true,"bytes":2082,"sent":"as it came"}"#),
        why: "java-apns drops the alert if everything else is too long; nothing is dropped here",
    },
    Difference {
        kind: "payload_trim",
        inputs: &["🐰abc"],
        keys: &["alert"],
        here: Here::Does(r#"{"bytes":54,"sent":"as it came"}"#),
        why: "sygnal cuts alerts to fit a limit of the caller's; nothing is cut here",
    },
    Difference {
        kind: "payload_trim",
        inputs: &["launch.png"],
        keys: &["bytes", "json"],
        here: Here::Does(r#"{"bytes":307,"sent":"as it came"}"#),
        why: "go-libapns cuts alerts to fit a limit of the caller's; nothing is cut here",
    },
    Difference {
        kind: "payload_trim",
        inputs: &["test\\\\ message"],
        keys: &["json_bytes", "alert"],
        here: Here::Does(r#"{"json_bytes":34,"sent":"as it came"}"#),
        why: "node-apn cuts alerts to fit a limit of the caller's; nothing is cut here",
    },
    Difference {
        kind: "payload_validate",
        inputs: &["bingbong"],
        keys: &["error"],
        here: Here::Does(r#"{"error":null,"push_type":"alert"}"#),
        why: "buford asks for alert, badge or content-available; Apple names sound beside alert \
              and badge, so a sound alone is an alert",
    },
    Difference {
        kind: "reason_action",
        inputs: &[
            "{\"reason\":\"BadDeviceToken\"}",
            "\"BadDeviceToken\",\"status\"",
        ],
        keys: &["action"],
        here: Here::Does(r#"{"action":"remove if every environment says so"}"#),
        why: "a token of the other environment gets the same answer: uniqush's users lost tokens \
              that were good there",
    },
    Difference {
        kind: "reason_action",
        inputs: &["DeviceTokenNotForTopic"],
        keys: &["action"],
        here: Here::Does(r#"{"action":"remove unless many get this"}"#),
        why: "sygnal removes every token that is pushed to with a wrong topic",
    },
    Difference {
        kind: "reason_action",
        inputs: &["TopicDisallowed"],
        keys: &["action"],
        here: Here::Does(r#"{"action":"keep, and do not retry"}"#),
        why: "sygnal removes the token; what is wrong is the configuration of the server",
    },
    Difference {
        kind: "reason_action",
        inputs: &["500", "503"],
        keys: &["action"],
        here: Here::Does(r#"{"action":"keep, and retry in 15 minutes or later"}"#),
        why: "rpush waits 10 seconds; Apple says 15 minutes",
    },
    Difference {
        kind: "resend_semantics",
        inputs: &["server unreachable"],
        keys: &["failed"],
        here: Here::Does(
            r#"{
                "failed": [[0, "413"], [1, "not-processed"], [2, "not-processed"]],
                "failed_at_once": 1
            }"#,
        ),
        why: "java-apns reports the others at once; here they wait for the server until their \
              deadline",
    },
    Difference {
        kind: "resend_semantics",
        inputs: &["1234"],
        keys: &["queue_after"],
        here: Here::Does(r#"{"queue_after":[3],"failed":[1234],"delivered":[1]}"#),
        why: "apns4ex forgets what followed the refused one",
    },
    Difference {
        kind: "token_parse",
        inputs: &["<omg>"],
        keys: &["stripped"],
        here: Here::Does(r#"{"accepted":false,"error":"token-not-hex"}"#),
        why: "rapns strips the brackets of anything, and keeps a token that is no number",
    },
];
