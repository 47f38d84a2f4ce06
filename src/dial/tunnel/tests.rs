//! What proxies say, and what they should not.

use super::*;

fn apns() -> Authority {
    Authority::new("api.push.apple.com", 443).unwrap()
}

fn asked() -> Tunnel {
    Tunnel::request(&apns(), None, &mut Vec::new())
}

/// The answer to everything in one piece.
fn whole(reply: &[u8]) -> Result<Progress, TunnelError> {
    asked().handle_input(reply)
}

/// The answer to what comes in these pieces; what follows an end of it was not asked for.
fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Progress, TunnelError> {
    let mut tunnel = asked();
    for piece in pieces {
        match tunnel.handle_input(piece)? {
            Progress::NeedMore => {}
            Progress::Open => return Ok(Progress::Open),
        }
    }
    Ok(Progress::NeedMore)
}

fn refused(status: u16, reason: &str) -> Result<Progress, TunnelError> {
    let reason = reason.to_owned();
    Err(TunnelError::Refused { status, reason })
}

/// RFC 9110, section 9.3.6: the target is host and port, also if the port is the usual one.
#[test]
fn the_request_names_host_and_port() {
    let mut out = b"before".to_vec();
    let _ = Tunnel::request(&apns(), None, &mut out);
    let expected: &[u8] =
        b"beforeCONNECT api.push.apple.com:443 HTTP/1.1\r\nHost: api.push.apple.com:443\r\n\r\n";
    assert_eq!(out, expected);
}

/// RFC 7617, section 2: the example of the RFC, and its test vector in UTF-8 (section 2.1).
#[test]
fn credentials_are_sent_as_the_rfc_has_them() {
    for (user, password, basic) in [
        ("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123\u{a3}", "dGVzdDoxMjPCow=="),
    ] {
        let credentials = Credentials::new(user, password).unwrap();
        let mut out = Vec::new();
        let _ = Tunnel::request(&apns(), Some(&credentials), &mut out);
        let text = String::from_utf8(out).unwrap();
        let line = format!("\r\nProxy-Authorization: Basic {basic}\r\n\r\n");
        assert!(text.ends_with(&line), "{text}");
    }
}

#[test]
fn credentials_are_not_shown_and_cannot_break_out_of_their_line() {
    let credentials = Credentials::new("anna", "s3cret").unwrap();
    assert_eq!(format!("{credentials:?}"), "Credentials(…)");
    for (user, password) in [
        ("a:b", "s3cret"),
        ("a\n", "s3cret"),
        ("a", "s3cret\r\nX: y"),
        ("a", &"s3cret".repeat(100)),
    ] {
        let error = Credentials::new(user, password).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}

/// RFC 3986, section 3.2.2.
#[test]
fn a_server_is_a_name_or_an_address_and_nothing_else() {
    fn text(host: &str, port: u16) -> Result<String, InvalidAuthority> {
        Authority::new(host, port).map(|server| server.to_string())
    }
    assert_eq!(text("::1", 2197).unwrap(), "[::1]:2197");
    assert_eq!(text("127.0.0.1", 1).unwrap(), "127.0.0.1:1");
    assert_eq!(text("a_b.example", 65_535).unwrap(), "a_b.example:65535");
    for host in [
        "",
        "[::1]",
        "fe80::1%eth0",
        "a b",
        "a\r\nb",
        "a:1",
        "a/b",
        "user@a",
        "ü.example",
        &"a".repeat(254),
    ] {
        assert_eq!(text(host, 443), Err(InvalidAuthority), "{host:?}");
    }
    assert_eq!(text("a.example", 0), Err(InvalidAuthority));
}

/// Every reply as proxies give it: Squid, tinyproxy, one without a reason, one with fields that a
/// 2xx must not have and that are to be ignored (RFC 9110, section 9.3.6), and one after interim
/// replies (section 15.2).
const OPEN: [&str; 5] = [
    "HTTP/1.1 200 Connection established\r\n\r\n",
    "HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n",
    "HTTP/1.1 299 \r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n\
     HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n\
     HTTP/1.1 200 OK\r\n\r\n",
];

#[test]
fn any_2xx_opens_the_tunnel_wherever_it_is_split() {
    for reply in OPEN.map(str::as_bytes) {
        assert_eq!(whole(reply), Ok(Progress::Open));
        assert_eq!(in_pieces(reply.chunks(1)), Ok(Progress::Open));
        for at in 0..reply.len() {
            let (one, two) = reply.split_at(at);
            assert_eq!(in_pieces([one]), Ok(Progress::NeedMore), "{at}");
            assert_eq!(in_pieces([one, two]), Ok(Progress::Open), "{at}");
        }
    }
}

/// What RFC 9112 lets a recipient take, beside what most proxies send.
const LENIENT: [&str; 10] = [
    // 5.2: folded lines, of which the first and the last may be empty.
    "HTTP/1.1 200 OK\r\nVia: 1.1 a,\r\n 1.1 b,\r\n\t1.1 c\r\nX: y\r\n\r\n",
    "HTTP/1.1 200 OK\r\nVia:\r\n  1.1 a\r\n \r\n\r\n",
    "HTTP/1.1 200 OK\nVia: 1.1 a\n 1.1 b\n\n",
    // 2.2: lines that end in LF alone, and an empty line before the reply.
    "HTTP/1.1 200 OK\nVia: 1.1 a\n\n",
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    // 4: no reason, without the space before it and with it; several spaces between words.
    "HTTP/1.1 200\r\n\r\n",
    "HTTP/1.1  200   OK\r\n\r\n",
    // 5 and 5.1: spaces around a value, none, an empty one, and a space before the colon.
    "HTTP/1.1 200 OK\r\nA: \t b \t \r\nC:d\r\nE:\r\nF : g\r\n\r\n",
    // 4 and 5.5: obs-text in a reason and in a value.
    "HTTP/1.1 200 \u{fc}\r\nX: \u{fc}\r\n\r\n",
    // 15.2 of RFC 9110: interim replies, folded themselves.
    "HTTP/1.1 102 P\r\nA: b\r\n c\r\n\r\nHTTP/1.1 199 \r\n\r\nHTTP/1.1 200 OK\r\nA:\r\n c\r\n\r\n",
];

#[test]
fn a_proxy_may_fold_lines_and_space_words_as_the_rfc_lets_it() {
    for reply in LENIENT.map(str::as_bytes) {
        let text = reply.escape_ascii().to_string();
        assert_eq!(whole(reply), Ok(Progress::Open), "{text}");
        assert_eq!(in_pieces(reply.chunks(1)), Ok(Progress::Open), "{text}");
        for at in 0..reply.len() {
            let (one, two) = reply.split_at(at);
            assert_eq!(in_pieces([one]), Ok(Progress::NeedMore), "{text} {at}");
            assert_eq!(in_pieces([one, two]), Ok(Progress::Open), "{text} {at}");
        }
    }
    let folded = b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\n realm=x\r\n\r\n";
    assert_eq!(whole(folded), refused(407, "Who?"));
}

/// RFC 9112, section 2.2: a line that begins with a space where no field is to go on is no message.
#[test]
fn a_fold_of_nothing_is_refused() {
    let reply = b"HTTP/1.1 200 OK\r\n Via: 1.1 a\r\n\r\n";
    let error = Err(TunnelError::NotHttp(httparse::Error::HeaderName));
    assert_eq!(whole(reply), error);
    assert_eq!(in_pieces(reply.chunks(1)), error);
}

#[test]
fn anything_else_is_a_refusal_with_its_reason_wherever_it_is_split() {
    for (reply, status, reason) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
            407,
            "Proxy Authentication Required",
        ),
        (
            "HTTP/1.0 403 Filtered\r\nContent-Length: 4\r\n\r\n",
            403,
            "Filtered",
        ),
        ("HTTP/1.1 502\r\n\r\n", 502, ""),
        ("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", 301, "Moved"),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            101,
            "Switching Protocols",
        ),
        ("HTTP/1.1 000 \r\n\r\n", 0, ""),
    ] {
        let reply = reply.as_bytes();
        let expected = refused(status, reason);
        assert_eq!(whole(reply), expected);
        for at in 0..=reply.len() {
            let (one, two) = reply.split_at(at);
            assert_eq!(in_pieces([one, two]), expected, "{at}");
        }
        // A page for people behind it changes nothing, however long.
        let page = [reply, &[b'x'; 3 * HEAD_MAX_BYTES][..]].concat();
        assert_eq!(whole(&page), expected);
    }
}

#[test]
fn a_refusal_says_what_the_proxy_said() {
    let text = |reply: &[u8]| whole(reply).unwrap_err().to_string();
    let forbidden = text(b"HTTP/1.1 403 Forbidden\r\n\r\n");
    assert_eq!(forbidden, "expected 2xx, got 403 Forbidden");
    assert_eq!(text(b"HTTP/1.1 500\r\n\r\n"), "expected 2xx, got 500");
    let long = format!("HTTP/1.1 500 {}\t\u{7f}\r\n\r\n", "ab".repeat(100));
    assert!(text(long.as_bytes()).len() < 100);
}

/// In the tunnel a server waits for our handshake, so whoever speaks is not the server.
#[test]
fn bytes_behind_a_2xx_are_refused() {
    for reply in OPEN {
        for more in ["\0", "\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            let both = format!("{reply}{more}");
            assert_eq!(whole(both.as_bytes()), Err(TunnelError::Surplus));
        }
    }
    let mut long = OPEN[0].as_bytes().to_vec();
    long.resize(2 * HEAD_MAX_BYTES, 0);
    assert_eq!(whole(&long), Err(TunnelError::Surplus));
}

#[test]
fn a_reply_has_a_bound_wherever_it_is_split() {
    let long = 3 * HEAD_MAX_BYTES;
    let one_field = format!("HTTP/1.1 200 OK\r\nVia: {}", "a".repeat(long));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000);
    let reason = format!("HTTP/1.1 200 {}", "a".repeat(long));
    for reply in [one_field, interim, reason, "\r\n".repeat(long)] {
        for size in [1, 7, 1_000, HEAD_MAX_BYTES, reply.len()] {
            let mut tunnel = asked();
            let mut results = reply.as_bytes().chunks(size);
            let result = results.find_map(|piece| tunnel.handle_input(piece).err());
            assert_eq!(result, Some(TunnelError::TooLong), "{size}");
            assert_eq!(tunnel.said.len(), HEAD_MAX_BYTES);
        }
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(65));
    let error = Err(TunnelError::NotHttp(httparse::Error::TooManyHeaders));
    assert_eq!(whole(many.as_bytes()), error);
    assert_eq!(in_pieces(many.as_bytes().chunks(1)), error);
}

/// A reply may be as long as the bound.
#[test]
fn the_longest_reply_is_taken() {
    let head = |length: usize| {
        let (begin, end) = ("HTTP/1.1 200 OK\r\nVia: ", "\r\n\r\n");
        let fill = "x".repeat(length - begin.len() - end.len());
        format!("{begin}{fill}{end}")
    };
    assert_eq!(whole(head(HEAD_MAX_BYTES).as_bytes()), Ok(Progress::Open));
    let longer = head(HEAD_MAX_BYTES + 1);
    assert_eq!(whole(longer.as_bytes()), Err(TunnelError::TooLong));
    assert_eq!(
        in_pieces(longer.as_bytes().chunks(1)),
        Err(TunnelError::TooLong)
    );
}

#[test]
fn what_is_not_http_1_is_refused_at_its_first_wrong_byte() {
    for reply in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x05\x00",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20x OK\r\n",
        b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let one = whole(reply);
        assert!(
            matches!(one, Err(TunnelError::NotHttp(_))),
            "{reply:?}: {one:?}"
        );
        assert_eq!(in_pieces(reply.chunks(1)), one, "{reply:?}");
    }
}

#[test]
fn a_proxy_that_closes_has_not_answered() {
    let mut tunnel = asked();
    assert_eq!(tunnel.handle_input(b"HTTP/1.1 200"), Ok(Progress::NeedMore));
    let error = tunnel.handle_end();
    assert_eq!(error, TunnelError::Closed);
    assert_eq!(
        error.to_string(),
        "expected a reply, got a closed connection"
    );
}

/// Every reply above with each of its bytes changed to some others: nothing panics, a split changes
/// nothing, and the memory stays bounded.
#[test]
fn hostile_replies_end_the_same_however_they_are_split() {
    for reply in OPEN.into_iter().chain(LENIENT) {
        for at in 0..reply.len() {
            for byte in [0, b'\n', b'\r', b' ', b':', b'9', 0x80, 0xff] {
                let mut changed = reply.as_bytes().to_vec();
                changed[at] = byte;
                let one = whole(&changed);
                let many = in_pieces(changed.chunks(1));
                // In single bytes nothing comes together with a 2xx.
                if one != Err(TunnelError::Surplus) {
                    assert_eq!(one, many, "{:?}", changed.escape_ascii().to_string());
                }
            }
        }
    }
}
