//! What crosses and when, who is answered, and what ends the feeding.

use std::pin::pin;

use super::*;
use crate::dispatch::Answered;
use tokio::sync::mpsc::Sender;

const CONCURRENCY: usize = 3;

struct Fed {
    feed: Feed,
    jobs: Option<Sender<Job>>,
}

impl Fed {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel(32);
        let feed = Feed {
            jobs: Arc::new(Mutex::new(receiver)),
            state: Mutex::default(),
            concurrency: CONCURRENCY,
            operator: Arc::default(),
        };
        let jobs = Some(sender);
        Self { feed, jobs }
    }

    fn ask(&self, bytes: usize) -> Answered {
        let (answer, answered) = oneshot::channel();
        let request = http::Request::new(Bytes::from(vec![b'x'; bytes]));
        let jobs = self.jobs.as_ref().unwrap();
        assert!(jobs.try_send(Job { request, answer }).is_ok());
        answered
    }

    /// What crosses next, calls by their identifiers and cancellations by their negatives; `None`
    /// if nothing does.
    fn crossing(&self) -> Option<Vec<i64>> {
        let mut cx = Context::from_waker(Waker::noop());
        let number = |id: u64| i64::try_from(id).unwrap();
        match self.feed.poll_messages(&mut cx, MESSAGES_AT_ONCE) {
            Poll::Pending => None,
            Poll::Ready(messages) => Some(
                messages
                    .iter()
                    .map(|message| match message {
                        Message::Call(call) => number(call.id),
                        Message::Cancel(id) => -number(*id),
                    })
                    .collect(),
            ),
        }
    }

    fn reply(&self, id: u64) {
        self.feed.answer(vec![reply(id)]);
    }
}

fn reply(id: u64) -> Reply {
    Reply {
        id,
        status: 200,
        content_type: "text/plain".to_owned(),
        headers: vec![("retry-after".to_owned(), "1".to_owned())],
        waits_for_disk: true,
        counts: Some("push.accepted=2".to_owned()),
        body: b"done".to_vec(),
    }
}

#[test]
fn what_waits_crosses_at_once_and_no_more_than_there_are_places() {
    let fed = Fed::new();
    assert_eq!(fed.crossing(), None);
    let asked: Vec<_> = (0..5).map(|_| fed.ask(1)).collect();
    assert_eq!(fed.crossing(), Some(vec![0, 1, 2]));
    assert_eq!(fed.crossing(), None, "there is no place");
    fed.reply(1);
    assert_eq!(fed.crossing(), Some(vec![3]));
    drop(asked);
}

#[test]
fn large_bodies_cross_one_after_the_other() {
    let fed = Fed::new();
    let _asked = [
        fed.ask(BYTES_AT_ONCE),
        fed.ask(BYTES_AT_ONCE - 1),
        fed.ask(1),
    ];
    assert_eq!(fed.crossing(), Some(vec![0]));
    assert_eq!(fed.crossing(), Some(vec![1, 2]));
}

#[test]
fn an_answer_reaches_who_asked_in_whatever_order() {
    let fed = Fed::new();
    let mut asked = [fed.ask(1), fed.ask(1)];
    fed.crossing();
    fed.feed.answer(vec![reply(1)]);
    assert!(asked[0].try_recv().unwrap().is_none());
    let answer = asked[1].try_recv().unwrap().unwrap().unwrap();
    assert!(!answer.is_at_once);
    let (head, body) = answer.response.into_parts();
    assert_eq!(
        (head.status.as_u16(), &head.headers["retry-after"]),
        (200, &HeaderValue::from(1))
    );
    assert_eq!(&head.headers[CONTENT_TYPE], "text/plain");
    assert_eq!(&head.headers[CONTENT_LENGTH], "4");
    assert!(matches!(body, Body::Whole(body) if body == "done"));
    // One that nobody knows is nobody's.
    fed.reply(77);
}

#[test]
fn what_is_no_answer_fails_the_one_request() {
    let fed = Fed::new();
    let bad: [fn(&mut Reply); 3] = [
        |reply| reply.status = 42,
        |reply| reply.content_type = "a\nb".to_owned(),
        |reply| reply.headers = vec![("not a name".to_owned(), String::new())],
    ];
    for (id, spoil) in (0..).zip(bad) {
        let mut asked = fed.ask(1);
        fed.crossing();
        let mut reply = reply(id);
        spoil(&mut reply);
        fed.feed.answer(vec![reply]);
        assert!(asked.try_recv().unwrap().unwrap().is_err());
    }
}

#[test]
fn whoever_has_given_up_is_not_asked_for() {
    let fed = Fed::new();
    drop(fed.ask(1));
    let _asked = fed.ask(1);
    assert_eq!(fed.crossing(), Some(vec![0]));
}

#[test]
fn what_takes_too_long_is_cancelled_and_gives_its_place_back() {
    let fed = Fed::new();
    let mut asked: Vec<_> = (0..4).map(|_| fed.ask(1)).collect();
    assert_eq!(fed.crossing(), Some(vec![0, 1, 2]));
    fed.feed.expire(Duration::from_secs(60));
    assert_eq!(fed.crossing(), None);
    fed.feed.expire(Duration::ZERO);
    let mut crossed = fed.crossing().unwrap();
    crossed.sort_unstable();
    assert_eq!(crossed, [-2, -1, 0, 3]);
    let expired = asked[0].try_recv().unwrap().unwrap().unwrap_err();
    assert!(expired.is::<ExpirationError>());
}

#[test]
fn the_end_is_when_all_is_answered() {
    let mut fed = Fed::new();
    let mut cx = Context::from_waker(Waker::noop());
    let mut asked = fed.ask(1);
    fed.crossing();
    fed.jobs = None;
    assert_eq!(fed.crossing(), None);
    let feed = &fed.feed;
    let mut drained = pin!(feed.drained());
    assert!(drained.as_mut().poll(&mut cx).is_pending());
    fed.reply(0);
    assert!(drained.as_mut().poll(&mut cx).is_ready());
    assert_eq!(fed.crossing(), Some(vec![]), "the stream ends");
    assert!(asked.try_recv().unwrap().unwrap().is_ok());
}
