//! The output of commands: every line on standard output and standard error goes through here.
//!
//! A reader that has closed the pipe (`… | head`) ends the output and is not a failure: further output is dropped,
//! and the command does its work to the end. Any other error on standard output makes the command fail when it ends.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The error because of which standard output lacks some of what was printed.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

macro_rules! outln {
    ($($line:tt)*) => { $crate::stdio::print_line(format_args!($($line)*)) };
}

macro_rules! errln {
    ($($line:tt)*) => { $crate::stdio::print_error_line(format_args!($($line)*)) };
}

pub(crate) use {errln, outln};

/// Prints a line on standard output, without buffering.
pub fn print_line(line: Arguments<'_>) {
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Prints a line on standard error, if anybody reads it.
pub fn print_error_line(line: Arguments<'_>) {
    let _unread = writeln!(io::stderr().lock(), "{line}");
}

/// The error because of which standard output lacks some of what was printed, unless the reader closed the pipe.
pub fn take_lost_output() -> Option<io::Error> {
    LOST.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Prints the result of a command: as JSON or in words.
pub(crate) fn print_result(as_json: bool, value: &Value, words: impl FnOnce() -> String) {
    if as_json {
        outln!("{value}");
    } else {
        outln!("{}", words());
    }
}
