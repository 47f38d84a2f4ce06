//! HTTP/1.1 with keep-alive. Reads answers with `content-length`, and those in chunks.

use std::ops::Range;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Course, lost};

/// The longest answer: a thousand results have a fifth of this.
const LONGEST: usize = 4 << 20;

/// Asks one request after the other until there are no more.
pub async fn ask(mut socket: TcpStream, course: &Course<'_>) -> Result<(), String> {
    let mut came = Vec::with_capacity(16 << 10);
    while let Some(call) = course.next() {
        let asked = Instant::now();
        socket.write_all(&call.http1).await.map_err(lost)?;
        came.clear();
        let answer = answer(&mut socket, &mut came).await?;
        let body = came.get(answer.body).unwrap_or_default();
        course.answered(asked, answer.status, body)?;
    }
    Ok(())
}

struct Answer {
    status: u16,
    body: Range<usize>,
}

async fn answer(socket: &mut TcpStream, came: &mut Vec<u8>) -> Result<Answer, String> {
    let head = loop {
        if let Some(at) = came.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        read(socket, came).await?;
    };
    let text = String::from_utf8_lossy(came.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or("expected a status line of HTTP/1.1")?;
    let length = text.lines().find_map(|line| {
        let length = line.strip_prefix("content-length:")?;
        length.trim().parse::<usize>().ok()
    });
    match length {
        Some(length) => {
            while came.len() < head + length {
                read(socket, came).await?;
            }
        }
        None => {
            while !came.ends_with(b"0\r\n\r\n") {
                read(socket, came).await?;
            }
        }
    }
    let body = head..came.len();
    Ok(Answer { status, body })
}

async fn read(socket: &mut TcpStream, came: &mut Vec<u8>) -> Result<(), String> {
    let read = socket.read_buf(came).await.map_err(lost)?;
    if read == 0 || came.len() > LONGEST {
        return Err("the service has cut an answer off, or does not end it".to_owned());
    }
    Ok(())
}
