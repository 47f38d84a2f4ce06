//! Valid values of everything that comes from outside, to be changed.

pub const HTTP2_SCRIPTS: &[&[u8]] = &[
    // SETTINGS and their acknowledgement seen; requests, responses, resets; see `http2/fuzz.rs`.
    b"\x40\x11\x00\x00\x10\x05\x02\x00\x00\x11\x00\x01\x00\x00\x02\x00\x01\x02\x00\x08\x00\x40",
    b"\x21\x11\xff\x4e\x20\x20\x0c\x00\x40\x00\x8c\x00\x40\x00\x0f\x04\x20\x00\x10\x20\x00\x1a\x00",
    b"\x00\x00\xd8\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x05\x11\x00\x00\x05\x00",
];

pub const PUSHES: &[&str] = &[
    r#"{"to":{"token":"00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff"},
        "topic":"com.example.app","payload":{"aps":{"alert":"Hi"}}}"#,
    r#"{"to":{"tokens":["<00ff 00ff>","ABCD"]},"topic":"com.example.app","environment":"production",
        "push_type":"background","priority":5,"ttl_s":3600,"dry_run":true,"via":"http2",
        "payload":{"aps":{"content-available":1}}}"#,
    r#"{"to":{"alias":"anna"},"expiration":1700000000,"collapse_id":"news","push_type":"alert",
        "payload":{"aps":{"alert":{"title":"\u00e9","body":"b"},"badge":0},"own":[1,2.5,null]}}"#,
    r#"{"to":{"aliases":["anna","ben"]},"topic":"com.example.app.voip","push_type":"voip",
        "priority":10,"payload":{"call":1}}"#,
    r#"{"to":{"tokens":["0a","x",1]},"topic":"a.b","on_invalid":"skip",
        "payload":{"aps":{"alert":"Hi"}}}"#,
    r#"{"to":{"tags":{"any":["a","b"],"all":["c"],"none":["d"]}},"topic":"a.b",
        "payload":{"aps":{"alert":"Hi"}}}"#,
    r#"{"to":{"all":true},"topic":"a.b","payload":{"aps":{"alert":"Hi"}}}"#,
    r#"{"to":{"token":"0a"},"topic":"a.push-type.liveactivity","push_type":"liveactivity",
        "strict":false,"payload":{"aps":{"timestamp":1700000000,"event":"end",
        "relevance-score":25.5,"own":[]}}}"#,
    r#"{"to":{"token":"0a"},"topic":"a","id":"0123456789ab-cdef-0123-4567-89abcdef",
        "payload":{"aps":{"badge":1}}}"#,
    r#"{"to":{"token":"0a"},"topic":"a","id":"01234567-89ab-cdef-0123-456789abcdef",
        "payload":{"aps":{"badge":1}}}"#,
];

pub const REGISTRATIONS: &[&str] = &[
    r#"{"topic":"com.example.app"}"#,
    r#"{"topic":"com.example.app","environment":"development","alias":"anna",
        "tags":["b","a","b"]}"#,
    r#"{"topic":"a\u002eb","alias":"\u00e9\ud83d\ude00","tags":[]}"#,
];

pub const QUERIES: &[&str] = &[
    "topic=com.example.app",
    "a=b&topic=x.y&topic=z",
    "&&topic=a",
    "",
];

pub const SETTINGS: &[&str] = &[
    r#"
[apns.development]
host = "localhost"
port = 2197

[[credentials]]
key_id = "ABC123DEFG"
team_id = "DEF123GHIJ"
key_file = "a.p8"
topics = ["com.example.app"]
environments = ["production"]

[[credentials]]
identity = "shop"
topics = ["com.example.app"]

[[api_keys]]
name = "backend"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
scopes = ["send", "devices", "admin"]
topics = ["com.example"]

[delivery]
timeout_ms = 10000
queue = 100
default_environment = "development"

[host]
listen = "127.0.0.1:0"
"#,
    "",
    "apns = { production = { port = 1 } }\nstore = 7\n",
];

pub const TOKENS: &[&str] = &[
    "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff",
    "<00FF00ff 01234567 89abcdef\t00ff00ff>",
    "0a",
    "{length = 32, bytes = 0x740f4707 bebcf74f 9b7c25d4 8e335894 ... 1d 5d 2b }",
];

pub const PAYLOADS: &[&str] = &[
    r#"{"aps":{"alert":"Hi"}}"#,
    r#" {"aps" : {"content-available" : 1, "sound" : null}, "own" : {"a" : [[[1, -2.5e-3]]]}} "#,
    r#"{"aps":{"alert":{"title":"\u00e9\ud83d\ude00","loc-args":["a",""]},"badge":0},"":"é"}"#,
    r#"{"aps":{"mutable-content":1,"content-available":true,"alert":null,"alert":"x"}}"#,
    r#"{"aps":{"timestamp":1,"event":"start","content-state":{"a":[]},"attributes-type":"A",
        "attributes":{},"alert":{"title":{"loc-key":"a","loc-args":["b"]},
        "sound":{"critical":1,"volume":0.5}},
        "relevance-score":75,"input-push-channel":"dHN0LXNyY2gtY2hubA=="},"mdm":"m"}"#,
    "{}",
];

pub const TOPICS_AND_IDS: &[&str] = &[
    "com.example.app",
    "com.example.app.voip-ptt",
    "com.example.App-1.push-type.liveactivity",
    "a_b",
    "01234567-89ab-CDEF-0123-456789abcdef",
];

/// Of version 1, of the device `0102` in `com.example.app`.
pub const OLDER_RECORDS: &[&str] = &[
    r#"{"v":1,"rev":7,"topic":"com.example.app","token":"0102","environment":"production",
        "alias":"anna","tags":["a","b"],"first_ms":1,"last_ms":1700000000000}"#,
    r#"{"v":1,"topic":"com.example.app","token":"0102","first_ms":0,"last_ms":0,
        "removed":{"reason":"Feedback","since_ms":1,"at_ms":2},"stale":true}"#,
    r#"{"v":1,"rev":9,"gone":true}"#,
];

pub const RESPONSES: &[&str] = &[
    r#"01234567-89ab-cdef-0123-456789abcdef{"reason":"BadDeviceToken"}"#,
    r#"120{"reason":"Unregistered","timestamp":1700000000000}"#,
    r#"unique-id{"reason":"TooManyRequests"}"#,
    r#"{"reason":"\u0055nknown","timestamp":-1}"#,
    "",
];

pub const BROADCASTS: &[&str] = &[
    r#"{"topic":"com.example.app","channel":"dHN0LXNyY2gtY2hubA==",
        "payload":{"aps":{"timestamp":1,"event":"end"}}}"#,
    r#"{"topic":"a.b","channel":"a+/=","strict":false,"environment":"sandbox","priority":5,
        "ttl_s":60,"id":"01234567-89ab-cdef-0123-456789abcdef","dry_run":true,"payload":{}}"#,
    r#"{"topic":"a\u002eb","channel":"\u0061","expiration":1700000000,"strict":false,
        "payload":{"a":1}}"#,
];

pub const CHANNEL_ANSWERS: &[&str] = &[
    "dHN0LXNyY2gtY2hubA==",
    r#"{"channels":["dHN0LXNyY2gtY2hubA==","\u0061"]}"#,
    r#"{"message-storage-policy":1,"push-type":"LiveActivity"}"#,
    r#"{"reason":"ChannelNotRegistered"}"#,
    "",
];
