//! Answers that nobody takes.

use dunlin_host::http_server::Limits;

use crate::support::{H2, Host, KEY, SHORT, bounded, patient, until};

/// Asks for so many answers on one connection whose streams have no window, and takes none.
async fn take_none(host: &Host, path: &str, count: usize) -> H2 {
    let mut client = host.h2(0).await;
    for _ in 0..count {
        // It may be closed by now.
        let asked = client.request("GET", path, Some(KEY), true).await;
        let Ok((response, _)) = asked else { break };
        tokio::spawn(async move {
            // Whoever drops it resets the stream.
            let _held = response.await;
            std::future::pending::<()>().await;
        });
    }
    client
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_its_connection() {
    let limits = Limits {
        answer_time: SHORT,
        keyless_answer_time: SHORT,
        ..patient()
    };
    let host = Host::open(limits);
    for path in ["/metrics", "/livez", "/large/3", "/large/100000"] {
        take_none(&host, path, 1).await.ends().await;
    }
    host.stop().await;
}

#[tokio::test]
async fn without_a_key_a_few_answers_that_have_no_window_end_the_connection() {
    let limits = Limits {
        untaken_keyless: 4,
        ..patient()
    };
    let host = Host::keyed(limits);
    let few = take_none(&host, "/livez", 4).await;
    take_none(&host, "/livez", 60).await.ends().await;
    assert!(few.is_open());
    few.close().await;
    // As many at once are nothing unusual where they are taken.
    let mut client = host.h2(65_535).await;
    let mut asked = Vec::new();
    for _ in 0..60 {
        let request = client.request("GET", "/livez", None, true).await;
        asked.push(request.unwrap().0);
    }
    for response in asked {
        assert_eq!(bounded(response).await.unwrap().status(), 200);
    }
    drop(client);
    host.stop().await;
}

#[tokio::test]
async fn answers_to_those_without_a_key_are_bounded_and_a_probe_has_its_own() {
    let limits = Limits {
        open_keyless: 32,
        ..patient()
    };
    let host = Host::keyed(limits);
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(take_none(&host, "/metrics", 30).await);
        assert_eq!(host.get("/metrics").await.0, 200);
        assert_eq!(host.get("/livez").await.0, 200);
    }
    until("who has most of them goes", async || {
        crowd.iter().any(|client| !client.is_open())
    })
    .await;
    for client in crowd {
        client.close().await;
    }
    host.stop().await;
}

#[tokio::test]
async fn what_is_held_for_those_who_take_nothing_leaves_the_others_theirs() {
    let limits = Limits {
        open_requests: 64,
        open_keyless: 32,
        ..patient()
    };
    let host = Host::keyed(limits);
    let mut crowd = Vec::new();
    for _ in 0..10 {
        crowd.push(take_none(&host, "/livez", 50).await);
    }
    let mut good = host.h2(65_535).await;
    for _ in 0..10 {
        let key = Some(KEY);
        let (response, _) = good.request("POST", "/v1/push", key, true).await.unwrap();
        assert_eq!(bounded(response).await.unwrap().status(), 200);
    }
    for client in crowd {
        client.close().await;
    }
    host.stop().await;
}

#[tokio::test]
async fn large_answers_have_a_budget_and_small_ones_go_on() {
    let limits = Limits {
        answers: 256 * 1024,
        share: 2,
        ..patient()
    };
    let host = Host::open(limits);
    let mut greedy = Vec::new();
    // Two connections hold all of it.
    for _ in 0..2 {
        greedy.push(take_none(&host, "/large/60000", 2).await);
    }
    until("all of it is held", async || host.stub.calls() >= 4).await;
    let mut good = host.h2(65_535).await;
    until("there is no room", async || {
        good.get("/large/60000").await.unwrap().status() == 503
    })
    .await;
    assert_eq!(good.get("/large/0").await.unwrap().status(), 200);
    for client in greedy {
        client.close().await;
    }
    until("there is room again", async || {
        good.get("/large/60000").await.unwrap().status() == 200
    })
    .await;
    drop(good);
    host.stop().await;
}

#[tokio::test]
async fn one_connection_has_its_share_of_the_answers() {
    let limits = Limits {
        answers: 256 * 1024,
        share: 4,
        ..patient()
    };
    let host = Host::open(limits);
    let greedy = take_none(&host, "/large/60000", 10).await;
    until("it has asked", async || host.stub.calls() >= 10).await;
    let mut good = host.h2(65_535).await;
    assert_eq!(good.get("/large/60000").await.unwrap().status(), 200);
    greedy.close().await;
    drop(good);
    host.stop().await;
}

#[tokio::test]
async fn a_large_answer_arrives_whole() {
    let host = Host::open(patient());
    let (status, body) = host.get("/large/1000000").await;
    assert_eq!((status, body.len()), (200, 1_000_000));
    let mut client = host.h2(65_535).await;
    let mut body = client.get("/large/1000000").await.unwrap().into_body();
    let mut length = 0;
    while let Some(piece) = bounded(body.data()).await {
        let piece = piece.unwrap();
        length += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!(length, 1_000_000);
    drop(client);
    host.stop().await;
}
