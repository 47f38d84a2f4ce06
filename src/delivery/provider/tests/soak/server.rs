//! The server of the soak: what it takes, what it refuses, and what goes wrong with it.

use super::*;

/// A fate that is an answer.
const WORKS: u64 = 999;

impl Soak {
    pub(super) fn read(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let Some(side) = self.sides.get_mut(&connection) else {
            return;
        };
        side.reader.read(bytes);
        let mut candidates = core::mem::take(&mut side.incomplete);
        candidates.extend_from_slice(&side.reader.order[side.seen..]);
        let beginning = side.reader.order.len() - side.seen;
        side.seen = side.reader.order.len();
        for stream in &side.reader.order[side.seen - beginning..] {
            if let Some(asked) = side.reader.open.get(stream) {
                self.journal[number(asked)].seen = true;
            }
        }
        let mut complete = Vec::new();
        for stream in candidates {
            match side.reader.open.get(&stream) {
                Some(asked) if asked.complete => complete.push(stream),
                Some(_) => side.incomplete.push(stream),
                None => {}
            }
        }
        for stream in complete {
            let wait = millis(5 + below(&mut self.chance, 40));
            self.at(wait, Happens::Answer(connection, stream));
        }
        self.upkeep(connection);
        self.go_after(connection);
    }

    /// Says GOAWAY once it has seen as many requests as it takes of a connection.
    fn go_after(&mut self, connection: ConnectionId) {
        if self.mid_send {
            return;
        }
        let Some(side) = self.sides.get_mut(&connection) else {
            return;
        };
        let last = side.goes_after.filter(|_| side.last.is_none());
        let last = last.and_then(|count| side.reader.order.get(count - 1).copied());
        if let Some(last) = last {
            side.last = Some(last);
            self.count("GOAWAY");
            self.send(connection, &wire::go_away(last, 0, b""));
        }
    }

    /// Windows and PINGs.
    fn upkeep(&mut self, connection: ConnectionId) {
        if self.mid_send {
            return;
        }
        let Some(side) = self.sides.get_mut(&connection).filter(|side| !side.silent) else {
            return;
        };
        let mut bytes = Vec::new();
        for ping in core::mem::take(&mut side.reader.pings) {
            bytes.extend(wire::pong(&ping));
        }
        if side.reader.consumed > 30_000 {
            let consumed = core::mem::take(&mut side.reader.consumed);
            bytes.extend(wire::window_update(0, consumed));
        }
        if !bytes.is_empty() {
            self.lane.handle_input(self.now, connection, &bytes);
        }
    }

    /// In two pieces, as it happens.
    pub(super) fn send(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let at = below(&mut self.chance, bytes.len() as u64 + 1) as usize;
        self.mid_send = true;
        for piece in [&bytes[..at], &bytes[at..]] {
            if self.sides.contains_key(&connection) {
                self.lane.handle_input(self.now, connection, piece);
                self.drive();
            }
        }
        self.mid_send = false;
        self.upkeep(connection);
        self.go_after(connection);
    }

    /// Takes a request off the connection, if it may still be acted on.
    fn take(&mut self, connection: ConnectionId, stream: u32) -> Option<usize> {
        let side = self.sides.get_mut(&connection)?;
        let is_beyond = side.last.is_some_and(|last| stream > last);
        if side.silent || is_beyond || side.mute.contains(&stream) {
            return None;
        }
        let asked = side.reader.open.remove(&stream)?;
        side.highest = side.highest.max(stream);
        if !core::mem::replace(&mut side.answered, true) {
            side.reader.limit = Some(side.limit);
        }
        let number = number(&asked);
        self.journal[number].attempts += 1;
        Some(number)
    }

    pub(super) fn answer(&mut self, connection: ConnectionId, stream: u32) {
        let fate = match self.goes_after {
            None => below(&mut self.chance, 1_000),
            Some(_) => WORKS,
        };
        // Some are never answered; the server took every other one of them.
        if fate < 2 {
            self.count("silent streams");
            if fate == 0
                && let Some(side) = self.sides.get_mut(&connection).filter(|side| !side.silent)
                && side.last.is_none_or(|last| stream <= last)
                && let Some(asked) = side.reader.open.get(&stream)
            {
                side.highest = side.highest.max(stream);
                side.mute.insert(stream);
                let entry = &mut self.journal[number(asked)];
                entry.attempts += 1;
                entry.taken += 1;
            }
            return;
        }
        let Some(number) = self.take(connection, stream) else {
            return;
        };
        let bytes = match fate {
            _ if self.now < self.errors_until => {
                self.refuse(number, stream, 503, "ServiceUnavailable", &[])
            }
            2..=9 => self.refuse(number, stream, 400, "BadDeviceToken", &[]),
            10..=13 => self.refuse(number, stream, 410, "Unregistered", &[]),
            14..=18 => self.refuse(number, stream, 429, "TooManyRequests", &[]),
            19 => {
                let asked = [("retry-after", "3")];
                self.refuse(number, stream, 429, "TooManyRequests", &asked)
            }
            20..=24 => self.refuse(number, stream, 503, "ServiceUnavailable", &[]),
            25 => {
                let asked = [("retry-after", "1")];
                self.refuse(number, stream, 500, "InternalServerError", &asked)
            }
            26 => self.refuse(number, stream, 503, "Shutdown", &[]),
            27 => self.refuse(number, stream, 400, "IdleTimeout", &[]),
            28..=31 => {
                self.journal[number].attempts -= 1;
                wire::reset(stream, 7)
            }
            32 | 33 => {
                self.journal[number].taken += u8::from(fate == 32);
                wire::reset(stream, 2)
            }
            _ => {
                self.journal[number].taken += 1;
                wire::ok(stream)
            }
        };
        self.send(connection, &bytes);
    }

    fn refuse(
        &mut self,
        number: usize,
        stream: u32,
        status: u16,
        reason: &'static str,
        headers: &[(&str, &str)],
    ) -> Vec<u8> {
        self.count(reason);
        self.journal[number].refused = Some((status, reason));
        let body = format!("{{\"reason\":\"{reason}\"}}");
        wire::answer(stream, &status.to_string(), headers, body.as_bytes())
    }

    /// Something happens to a connection or to the whole server, five times a second.
    pub(super) fn fault(&mut self) {
        let wait = millis(100 + below(&mut self.chance, 200));
        self.at(wait, Happens::Fault);
        let connections: Vec<ConnectionId> = self.sides.keys().copied().collect();
        if connections.is_empty() {
            return;
        }
        let connection = connections[below(&mut self.chance, connections.len() as u64) as usize];
        match below(&mut self.chance, 20) {
            0..=4 => self.change_limit(connection),
            5..=9 => self.go_away(connection),
            10..=14 => self.cut(connection),
            15..=17 => {
                self.count("silent connections");
                self.sides.get_mut(&connection).unwrap().silent = true;
            }
            18 => {
                self.count("server out of order");
                self.errors_until = self.now + millis(1_500);
            }
            _ => {
                self.count("server gone");
                self.closed_until = self.now + secs(2);
                connections
                    .into_iter()
                    .for_each(|connection| self.cut(connection));
            }
        }
    }

    fn change_limit(&mut self, connection: ConnectionId) {
        self.count("stream limits");
        let limit = [1_000, 1, 500, 50][below(&mut self.chance, 4) as usize];
        let side = self.sides.get_mut(&connection).unwrap();
        if side.silent {
            return;
        }
        side.limit = limit;
        // The old limit or the new one may hold for what comes between the two pieces.
        let before = side.reader.limit.unwrap_or(1);
        if side.answered {
            side.reader.limit = Some(before.max(limit));
        }
        self.send(connection, &wire::streams(limit));
        if let Some(side) = self.sides.get_mut(&connection).filter(|side| side.answered) {
            side.reader.limit = Some(side.limit);
        }
    }

    fn go_away(&mut self, connection: ConnectionId) {
        let side = self.sides.get_mut(&connection).unwrap();
        if side.silent {
            return;
        }
        let opened = side.reader.order.last().copied().unwrap_or(0);
        let high = side.last.unwrap_or(opened.max(side.highest));
        let span = u64::from(high.saturating_sub(side.highest)) + 1;
        let last = side.highest + below(&mut self.chance, span) as u32;
        self.sides.get_mut(&connection).unwrap().last = Some(last);
        self.count("GOAWAY");
        let debug: &[u8] = match last % 2 {
            0 => br#"{"reason":"Shutdown"}"#,
            _ => b"",
        };
        self.send(connection, &wire::go_away(last, 0, debug));
    }

    /// A few more are taken, their answers are cut at an arbitrary byte, and the socket is gone.
    fn cut(&mut self, connection: ConnectionId) {
        self.count("cut sockets");
        let Some(side) = self.sides.get(&connection) else {
            return;
        };
        let complete = side.reader.open.iter().filter(|(_, asked)| asked.complete);
        let streams: Vec<u32> = complete.map(|(stream, _)| *stream).take(5).collect();
        let mut bytes = Vec::new();
        for stream in streams {
            if let Some(number) = self.take(connection, stream) {
                self.journal[number].taken += 1;
                bytes.extend(wire::ok(stream));
            }
        }
        let at = below(&mut self.chance, bytes.len() as u64 + 1) as usize;
        self.send(connection, &bytes[..at]);
        if self.sides.contains_key(&connection) {
            self.close(connection);
            self.drive();
        }
    }
}
