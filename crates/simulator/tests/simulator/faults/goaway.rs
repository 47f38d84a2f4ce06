//! Which requests a GOAWAY answers, whatever order their bodies come in.

use dunlin_simulator::{Action, Fault};

use super::warm;
use crate::support::{Client, raw, start, within};

fn goaway_unanswered() -> Fault {
    Fault::new(Action::Goaway {
        reason: None,
        error_code: 0,
        answer: false,
    })
}

/// The last-stream-ids of all GOAWAYs that a client has seen.
fn last_streams(client: &Client) -> Vec<u32> {
    let seen = client.seen.lock().unwrap().clone();
    let goaways = raw::frames(&seen).0.into_iter();
    let goaways = goaways.filter(|frame| frame.kind == raw::GOAWAY);
    goaways
        .map(|frame| u32::from_be_bytes(frame.payload[..4].try_into().unwrap()))
        .collect()
}

#[tokio::test]
async fn goaway_answers_the_request_that_sets_it_off_if_it_names_a_later_one() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    let fault = goaway_unanswered().for_tokens("aa");
    simulator.add_fault(fault.times(1)).unwrap();
    // Its body comes after another request is through.
    let early = push.clone().to("aa");
    let (answer, send_body) = client.begin_without_body(early).await;
    assert_eq!(client.push(push.to("bb")).await.unwrap().status, 200);
    send_body();
    assert_eq!(within(answer).await.unwrap(), 200);
    let last = last_streams(&client);
    let _ = within(client.end).await.unwrap();
    assert_eq!(last, [5]);
    let record = simulator.journal().pop().unwrap();
    assert_eq!((record.stream, record.status), (3, Some(200)));
    assert_eq!(record.fault.as_deref(), Some("goaway"));
}

#[tokio::test]
async fn of_many_requests_at_once_all_up_to_goaway_are_answered_and_then_it_closes() {
    let (simulator, key) = start().await;
    let (client, push) = warm(&simulator, &key).await;
    simulator.add_fault(goaway_unanswered().after(100)).unwrap();
    let mut answers = Vec::new();
    for stream in (3u32..).step_by(2).take(400) {
        match client.begin(push.clone()).await {
            Ok(answer) => answers.push((stream, answer)),
            // The client has heard of the GOAWAY.
            Err(_) => break,
        }
    }
    let mut answered = Vec::new();
    for (stream, answer) in answers {
        if within(answer).await.is_ok() {
            answered.push(stream);
        }
    }
    let last = last_streams(&client);
    let _ = within(client.end).await.unwrap();
    let [last] = last[..] else { panic!("{last:?}") };
    let expected: Vec<u32> = (3..=last).step_by(2).collect();
    assert_eq!(answered, expected, "up to {last}");
}
