//! A text that a thread writes while it is read, since what it is made of borrows from something that must not move.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::piece_reader::{PieceReader, TextPieces};
use crate::error::ImportError;

/// The text that is worth to be sent at once, about.
pub(super) const CHUNK_BYTES: usize = 1 << 16;

enum Message<S> {
    /// What is known before the text.
    Start(S),
    Text(Vec<u8>),
    End,
    Failed(ImportError),
}

/// The other side of a [`WrittenText`].
pub(super) struct TextSender<S>(SyncSender<Message<S>>);

impl<S> TextSender<S> {
    /// Sends what is known before the text; whether anybody still reads.
    pub(super) fn start(&self, start: S) -> bool {
        self.0.send(Message::Start(start)).is_ok()
    }

    /// Sends a piece of the text; whether anybody still reads.
    pub(super) fn text(&self, text: Vec<u8>) -> bool {
        text.is_empty() || self.0.send(Message::Text(text)).is_ok()
    }
}

/// The pieces of a text that a thread writes.
pub(super) struct WrittenText<S> {
    messages: Receiver<Message<S>>,
    ended: bool,
    /// What is said if the thread ends without an end of the text.
    damaged: fn() -> io::Error,
}

/// Writes a text on a thread of its own, which ends when nobody reads. Returns the text and what is known before it.
///
/// A panic of a library within `write` ends the thread, and with it the text: as an error, which `damaged` makes.
///
/// # Errors
/// What `write` fails with before it has sent the start.
pub(super) fn write_text<S: Send + 'static>(
    thread_name: &str,
    damaged: fn() -> io::Error,
    write: impl FnOnce(&TextSender<S>) -> Result<(), ImportError> + Send + 'static,
) -> Result<(PieceReader<WrittenText<S>>, S), ImportError> {
    let (sender, messages) = sync_channel(2);
    thread::Builder::new()
        .name(thread_name.to_owned())
        .spawn(move || {
            let sender = TextSender(sender);
            let last = match write(&sender) {
                Ok(()) => Message::End,
                Err(error) => Message::Failed(error),
            };
            // If the receiver is gone, nobody needs it.
            let _ = sender.0.send(last);
        })
        .map_err(ImportError::Read)?;
    match messages.recv() {
        Ok(Message::Start(start)) => {
            Ok((PieceReader::of(WrittenText { messages, ended: false, damaged }), start))
        }
        Ok(Message::Failed(error)) => Err(error),
        Ok(Message::Text(_) | Message::End) | Err(_) => Err(ImportError::Read(damaged())),
    }
}

impl<S> TextPieces for WrittenText<S> {
    fn next_piece(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        match self.messages.recv() {
            Ok(Message::Text(next)) => *text = next,
            Ok(Message::End) => self.ended = true,
            Ok(Message::Failed(ImportError::Read(error))) => return Err(error),
            Ok(Message::Failed(error)) => return Err(io::Error::other(error.to_string())),
            Ok(Message::Start(_)) | Err(_) => return Err((self.damaged)()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn damaged() -> io::Error {
        io::Error::other("it is damaged")
    }

    #[test]
    fn the_text_follows_its_start_and_an_error_follows_the_text() {
        let (mut reader, start) = write_text("writer", damaged, |sender| {
            sender.start(7);
            sender.text(b"a".to_vec());
            sender.text(Vec::new());
            sender.text(b"bc".to_vec());
            Err(ImportError::Empty)
        })
        .unwrap();
        let mut text = Vec::new();
        let error = reader.read_to_end(&mut text).unwrap_err();
        assert_eq!(
            (start, text.as_slice(), error.to_string().as_str()),
            (7, &b"abc"[..], "the file is empty")
        );
    }

    #[test]
    fn a_thread_that_does_not_reach_the_start_or_the_end_is_an_error() {
        let failed = write_text::<()>("writer", damaged, |_| Err(ImportError::Empty)).err().unwrap();
        assert!(matches!(failed, ImportError::Empty));
        let failed = write_text::<()>("writer", damaged, |_| Ok(())).err().unwrap();
        assert_eq!(failed.to_string(), "cannot read the file: it is damaged");
        let (mut reader, ()) = write_text("writer", damaged, |sender| {
            sender.start(());
            sender.text(b"a".to_vec());
            panic!("a library's")
        })
        .unwrap();
        let mut text = Vec::new();
        assert_eq!(reader.read_to_end(&mut text).unwrap_err().to_string(), "it is damaged");
        assert_eq!(text, b"a");
    }
}
