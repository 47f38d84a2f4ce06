//! One request of many lines, as `application/x-ndjson`: sent in chunks made beforehand, while the
//! answer is read.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Done, connect, lost};

/// Longest wait for the end of it all.
const PATIENCE: Duration = Duration::from_secs(300);

/// Of the end of an answer, what is kept: the summary is the last line.
const TAIL: usize = 4 << 10;

/// What a request of lines came to.
pub enum Lines {
    Done(Done),
    /// The service does not take them: 415; or 413, if it counts them before it looks.
    NotTaken,
}

/// Sends a first line and then the same thousand lines, until it is so many; says how long it took.
/// The answer has to end with a summary.
pub fn lines(
    address: SocketAddr,
    key: &str,
    first: &str,
    (thousand, thousands): (&str, u64),
) -> Result<Lines, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let head = format!(
        "POST /v1/push HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n{}",
        chunk(first)
    );
    runtime.block_on(async {
        let socket = connect(address).await?;
        let began = Instant::now();
        let (read, write) = TcpStream::into_split(socket);
        let thousand = chunk(thousand);
        let sent = send(write, &head, &thousand, thousands);
        // What is refused is answered before it is all sent, and the rest is never taken.
        let both = async {
            let (mut sent, mut answer) = (std::pin::pin!(sent), std::pin::pin!(receive(read)));
            tokio::select! {
                answer = &mut answer => answer,
                sent = &mut sent => match answer.await {
                    Ok(answer) => Ok(answer),
                    Err(why) => Err(sent.err().unwrap_or(why)),
                },
            }
        };
        let answer = tokio::time::timeout(PATIENCE, both).await;
        let answer = answer.map_err(|_| format!("no end within {PATIENCE:?}"))?;
        ended(answer?, began.elapsed())
    })
}

fn ended((status, tail): (String, Vec<u8>), elapsed: Duration) -> Result<Lines, String> {
    if ["413", "415"].contains(&status.as_str()) {
        return Ok(Lines::NotTaken);
    }
    let tail = String::from_utf8_lossy(&tail);
    if status == "200" && tail.contains("\"summary\"") {
        return Ok(Lines::Done(Done {
            elapsed,
            times: Vec::new(),
        }));
    }
    Err(format!(
        "expected 200 and a summary, got {status} and {tail}"
    ))
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

async fn send(
    mut socket: OwnedWriteHalf,
    head: &str,
    chunk: &str,
    times: u64,
) -> Result<(), String> {
    socket.write_all(head.as_bytes()).await.map_err(lost)?;
    for _ in 0..times {
        socket.write_all(chunk.as_bytes()).await.map_err(lost)?;
    }
    socket.write_all(b"0\r\n\r\n").await.map_err(lost)?;
    // The half is not dropped: it would close what the answer comes on.
    socket.flush().await.map_err(lost)?;
    socket.forget();
    Ok(())
}

/// The status, and the end of all that came after it.
async fn receive(mut socket: OwnedReadHalf) -> Result<(String, Vec<u8>), String> {
    let (mut status, mut tail) = (None, Vec::new());
    let mut buffer = vec![0; 256 << 10];
    loop {
        // What was refused may end with a reset after its answer.
        let read = match socket.read(&mut buffer).await {
            Ok(read) => read,
            Err(_) if status.is_some() => 0,
            Err(error) => return Err(lost(error)),
        };
        if read == 0 {
            break;
        }
        tail.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if status.is_none() && tail.len() >= 12 {
            let status_line = String::from_utf8_lossy(tail.get(..12).unwrap_or_default());
            status = status_line.split(' ').nth(1).map(str::to_owned);
        }
        let surplus = tail.len().saturating_sub(TAIL);
        tail.drain(..surplus);
    }
    let status = status.ok_or("expected an answer, got none")?;
    Ok((status, tail))
}
