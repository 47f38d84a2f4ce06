//! The statuses of the error-response packet and what they mean.
//!
//! Source: Apple, *Binary Provider API*, table A-4 (`docs/protocols.md` 1.5). A script may answer
//! any byte.

/// The status byte of an error-response packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusByte(pub(crate) u8);

impl StatusByte {
    pub(super) const NO_ERRORS: Self = Self(0);
    pub(super) const PROCESSING_ERROR: Self = Self(1);
    pub(super) const MISSING_TOKEN: Self = Self(2);
    pub(super) const MISSING_TOPIC: Self = Self(3);
    pub(super) const MISSING_PAYLOAD: Self = Self(4);
    pub(super) const INVALID_TOKEN_SIZE: Self = Self(5);
    pub(super) const INVALID_TOPIC_SIZE: Self = Self(6);
    pub(super) const INVALID_PAYLOAD_SIZE: Self = Self(7);
    pub(super) const INVALID_TOKEN: Self = Self(8);
    pub(super) const SHUTDOWN: Self = Self(10);
    pub(super) const PROTOCOL_ERROR: Self = Self(128);

    /// The table's words; `None` for a value that is not in it.
    pub(super) fn meaning(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "No errors encountered",
            1 => "Processing error",
            2 => "Missing device token",
            3 => "Missing topic",
            4 => "Missing payload",
            5 => "Invalid token size",
            6 => "Invalid topic size",
            7 => "Invalid payload size",
            8 => "Invalid token",
            10 => "Shutdown",
            128 => "Protocol error",
            255 => "None (unknown)",
            _ => return None,
        })
    }

    /// The packet that says it of the notification with this identifier.
    ///
    /// ```text
    /// | 08 | status | identifier u32 BE |
    /// ```
    pub(super) fn packet(self, identifier: u32) -> [u8; 6] {
        let [a, b, c, d] = identifier.to_be_bytes();
        [COMMAND, self.0, a, b, c, d]
    }
}

const COMMAND: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_those_of_other_libraries() {
        // chvanikoff/apns4ex: test/lib/apns/message_worker_test.exs.
        for (status, hex) in [
            (StatusByte::PROCESSING_ERROR, "0801000004d2"),
            (StatusByte::MISSING_TOPIC, "0803000004d2"),
            (StatusByte::MISSING_PAYLOAD, "0804000004d2"),
            (StatusByte::INVALID_PAYLOAD_SIZE, "0807000004d2"),
            (StatusByte::INVALID_TOKEN, "0808000004d2"),
            (StatusByte::SHUTDOWN, "080a000004d2"),
            (StatusByte(255), "08ff000004d2"),
        ] {
            assert_eq!(crate::ids::hex(&status.packet(1234)), hex);
        }
    }

    #[test]
    fn the_table_has_its_twelve_rows() {
        let known = (0..=255).filter(|byte| StatusByte(*byte).meaning().is_some());
        let known: Vec<u8> = known.collect();
        assert_eq!(known, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 128, 255]);
    }
}
