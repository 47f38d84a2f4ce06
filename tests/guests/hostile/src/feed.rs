//! The same, many requests at a time. What is late is late as a whole.

use std::cell::RefCell;
use std::rc::Rc;

use wit_bindgen::{StreamReader, StreamResult, StreamWriter, spawn_local};

use crate::bindings::exports::dunlin::push::feed::{Call, Guest, Message, Reply};
use crate::bindings::wit_stream;
use crate::{BIG, Hostile, Said, route, waiting};

impl Guest for Hostile {
    async fn serve(mut messages: StreamReader<Message>) -> StreamReader<Reply> {
        let (writer, replies) = wit_stream::new();
        let writer = Rc::new(RefCell::new(Some(writer)));
        spawn_local(async move {
            loop {
                let (result, read) = messages.read(Vec::with_capacity(4)).await;
                for message in read {
                    if let Message::Call(call) = message {
                        spawn_local(run(Rc::clone(&writer), call));
                    }
                }
                if !matches!(result, StreamResult::Complete(_)) {
                    return;
                }
            }
        });
        replies
    }
}

async fn run(writer: Rc<RefCell<Option<StreamWriter<Reply>>>>, call: Call) {
    let (status, body) = match route(&call.target).await {
        Said::Text(text) => (200, text.into_bytes()),
        Said::Nothing => (404, b"nothing here".to_vec()),
        // It is no status.
        Said::Error => (42, Vec::new()),
        Said::Echo => (200, call.body),
        Said::Big => (200, (0..BIG).map(|at| (at / 65_536) as u8).collect()),
        Said::Late(nanoseconds) => {
            waiting(nanoseconds).await;
            (200, b"late".to_vec())
        }
    };
    let reply = Reply {
        id: call.id,
        status,
        content_type: "text/plain".to_owned(),
        headers: Vec::new(),
        waits_for_disk: false,
        counts: None,
        body,
    };
    // One writes at a time.
    let mut own = loop {
        match writer.take() {
            Some(own) => break own,
            None => wit_bindgen::yield_async().await,
        }
    };
    own.write_all(vec![reply]).await;
    writer.replace(Some(own));
}
