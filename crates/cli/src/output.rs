//! What commands write: what was asked for to the standard output, everything else to the standard
//! error.
//!
//! A reader that has seen enough, as in `dunlin devices | head -1`, ends the output and nothing
//! else: the command goes on, and its exit code says what became of it. Nobody may be left to hear
//! of any other failure, so of the standard error none is one.

use std::io::{self, IsTerminal as _, Write};

use crate::Error;

/// Writes lines to the standard output, and ends the last one; nothing if the text is empty.
///
/// # Errors
/// If they cannot be written, as on a full disk; not if nobody reads them any more.
pub fn data(text: &str) -> Result<(), Error> {
    write_lines(io::stdout().lock(), text)
        .map_err(|error| Error::new(format!("standard output: {error}")))
}

/// Writes lines to the standard error, and ends the last one; nothing if the text is empty.
pub fn note(text: &str) {
    let _ = write_lines(io::stderr().lock(), text);
}

/// Shows how far a command is, in a line that the next such text replaces, and an empty one takes
/// away; nothing unless the standard error is a terminal.
pub fn progress(text: &str) {
    let mut out = io::stderr().lock();
    if out.is_terminal() {
        // To the beginning of the line, and what is left of it away (ECMA-48, EL). What is longer
        // than the line is not to go on in the next (DECAWM).
        let line = match text {
            "" => "\r\u{1b}[K".to_owned(),
            text => format!("\r\u{1b}[K\u{1b}[?7l{text}\u{1b}[?7h"),
        };
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

fn write_lines(mut out: impl Write, text: &str) -> io::Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    if text.is_empty() {
        return Ok(());
    }
    // At once, so that lines of several processes do not mix.
    let lines = format!("{text}{end}");
    match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_end_and_nothing_is_no_line() {
        for (text, expected) in [("", ""), ("a", "a\n"), ("a\n", "a\n"), ("a\nb", "a\nb\n")] {
            let mut out = Vec::new();
            write_lines(&mut out, text).unwrap();
            assert_eq!(out, expected.as_bytes());
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
        assert!(write_lines(Broken(io::ErrorKind::BrokenPipe), "a").is_ok());
        assert!(write_lines(Broken(io::ErrorKind::StorageFull), "a").is_err());
    }
}
