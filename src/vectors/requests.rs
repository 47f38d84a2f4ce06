//! What is asked of APNs, and where.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::{ApnsService, Settings};
use crate::environment::Environment;
use crate::notification::{
    ApnsId, Broadcast, BundleId, ChannelId, CollapseId, DeviceToken, Draft, Expiration, Payload,
    Priority, PushType, Topic,
};
use crate::provider::{ChannelCall, ChannelRequest, Message, RequestBuffer};

/// The headers of a message that begin with `apns-`.
fn headers(message: &Message) -> Value {
    let mut buffer = RequestBuffer::new();
    let request = buffer.fill_message(message, "api.push.apple.com", None);
    let request = request.as_http2();
    let own = request.headers.iter();
    let own = own.filter(|header| header.name.starts_with("apns-"));
    own.map(|header| (header.name.to_owned(), Value::from(header.value)))
        .collect()
}

fn names(headers: &Value) -> Vec<String> {
    headers.as_object().unwrap().keys().cloned().collect()
}

/// A push with the options that a row names: its headers and body, or why it is refused.
pub(super) fn push(input: &Value) -> Value {
    if let Some(kinds) = input["kinds"].as_array() {
        return pushes_of(kinds);
    }
    if let Some(names) = input["push_type"].as_array() {
        let rules = names
            .iter()
            .map(|name| PushType::parse(name.as_str().unwrap()));
        let mut rules: Vec<_> = rules.map(|parsed| parsed.unwrap_err().rule()).collect();
        rules.dedup();
        return json!({ "error": rules.concat() });
    }
    if let Some(text) = input["collapse_id"].as_str() {
        let (unit, times) = text.split_once(" * ").unwrap();
        let text = unit.trim_matches('"').repeat(times.parse().unwrap());
        return json!({ "error": CollapseId::parse(&text).err().map(|error| error.rule()) });
    }
    if let Some(text) = input["token"].as_str()
        && let Err(error) = DeviceToken::parse(text)
    {
        return json!({ "error": error.rule() });
    }
    let notification = draft(input).build().unwrap();
    let mut buffer = RequestBuffer::new();
    let request = buffer.fill(&notification, "api.push.apple.com", None);
    let body = str::from_utf8(request.as_http2().body).unwrap().to_owned();
    let headers = headers(&Message::from(Arc::new(notification)));
    let all = [
        "apns-collapse-id",
        "apns-expiration",
        "apns-id",
        "apns-priority",
    ];
    let absent: Vec<_> = all
        .into_iter()
        .filter(|name| headers[*name].is_null())
        .collect();
    json!({ "headers": headers, "body": body, "absent": absent })
}

fn draft(input: &Value) -> Draft {
    let push_type = input["push_type"].as_str();
    let push_type = push_type.map(|text| PushType::parse(text).unwrap());
    let bundle_id = Topic::parse(input["apns_topic"].as_str().unwrap_or("com.example.app"));
    let topic = push_type
        .unwrap_or(PushType::Alert)
        .topic_of(&bundle_id.unwrap());
    let payload = Payload::parse(br#"{"aps":{}}"#).unwrap();
    let token = DeviceToken::from_bytes(&[7; 32]).unwrap();
    let mut draft = Draft::new(token, topic.unwrap(), payload);
    if let Some(push_type) = push_type {
        draft = draft.push_type(push_type);
    }
    match input["apns_priority"].as_str() {
        Some("High") => draft = draft.priority(Priority::Immediate),
        Some("Normal") => draft = draft.priority(Priority::PowerSaving),
        _ => {}
    }
    let secs = match &input["apns_expiration"] {
        Value::String(text) => text.parse().ok(),
        _ if input["expiration"] == "unix 0" => Some(0),
        _ => input["expiry"].as_u64(),
    };
    if let Some(secs) = secs {
        draft = draft.expiration(Expiration::from_unix_secs(secs).unwrap());
    }
    draft
}

/// What priority and push type pushes have that say neither.
fn pushes_of(kinds: &[Value]) -> Value {
    let of = |kind: &Value| {
        let json = match kind.as_str().unwrap() {
            "content-available only" => r#"{"aps":{"content-available":1}}"#,
            "alert" => r#"{"aps":{"alert":"a"}}"#,
            other => panic!("no such kind: {other}"),
        };
        let token = DeviceToken::from_bytes(&[7]).unwrap();
        let topic = Topic::parse("com.example.app").unwrap();
        let payload = Payload::parse(json.as_bytes()).unwrap();
        let built = Draft::new(token, topic, payload).build().unwrap();
        (built.priority().as_number(), built.push_type().as_str())
    };
    let (priorities, push_types): (Vec<_>, Vec<_>) = kinds.iter().map(of).unzip();
    json!({ "apns_priority": priorities, "apns_push_type": push_types })
}

/// A broadcast with the options that a row names, and a call about its channel.
pub(super) fn broadcast(input: &Value) -> Value {
    let text = |name: &str| input[name].as_str().unwrap();
    let bundle_id = BundleId::new(Topic::parse(text("topic")).unwrap()).unwrap();
    let channel = ChannelId::parse(text("channelId")).unwrap();
    let call = Message::from(ChannelRequest {
        bundle_id: bundle_id.clone(),
        call: ChannelCall::Read(channel.clone()),
        id: None,
    });
    let priority = Priority::from_number(input["priority"].as_i64().unwrap()).unwrap();
    let payload = Payload::parse(b"{}").unwrap();
    let mut broadcast = Broadcast::new(bundle_id, channel, payload).unwrap();
    broadcast = broadcast.with_priority(priority);
    let expiration = Expiration::from_unix_secs(input["expiry"].as_u64().unwrap());
    if let Ok(Expiration::At(at)) = expiration {
        broadcast = broadcast.expiring_at(at);
    }
    let headers_of_call = headers(&call);
    let mut headers = headers(&Message::from(broadcast));
    let (of_call, of_broadcast) = (names(&headers_of_call), names(&headers));
    match ApnsId::parse(text("requestId")) {
        Ok(id) => headers["apns-request-id"] = id.to_string().into(),
        Err(error) => headers["apns-request-id"] = json!({ "error": error.rule() }),
    }
    let names = json!({ "of a call": of_call, "of a broadcast": of_broadcast });
    json!({ "headers": headers, "names": names, "headers_of_call": headers_of_call })
}

/// Where a service is that the configuration says no more of than it has to.
pub(super) fn endpoint(input: &Value) -> Value {
    let mut all = json!({});
    for (environment, name) in [
        (Environment::Development, "sandbox"),
        (Environment::Production, "production"),
    ] {
        all[name] = match input["protocol"].as_str().unwrap() {
            "channel management" => address(environment, ApnsService::Channels).into(),
            "provider API" => address(environment, ApnsService::Push).into(),
            "binary" => addresses_of_the_gateway(environment).into(),
            other => panic!("no such protocol: {other}"),
        };
    }
    all
}

fn address(environment: Environment, service: ApnsService) -> String {
    let settings = Settings::parse("").unwrap();
    let endpoint = settings.service(environment, service);
    format!("https://{}:{}", endpoint.host, endpoint.port)
}

fn addresses_of_the_gateway(environment: Environment) -> Vec<String> {
    assert!(Settings::parse("").unwrap().binary_apps().is_empty());
    let text = format!(
        "[[binary]]\ntopic = \"a.b\"\nenvironment = \"{environment}\"\n\
         gateway = {{ host = \"gateway\" }}\nfeedback = {{ host = \"feedback\" }}\n"
    );
    let settings = Settings::parse(&text).unwrap();
    let [app] = settings.binary_apps() else {
        panic!("one app")
    };
    let endpoints = [&app.gateway, &app.feedback].into_iter().flatten();
    endpoints
        .map(|it| format!("{}:{}", it.host, it.port))
        .collect()
}
