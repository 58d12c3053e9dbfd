//! Data to standard output, messages to standard error.

use std::io::{ErrorKind, Write};

use crate::failure::{Exit, Failure, OrFail, Outcome};

/// Writes data. A reader that went away ends the command quietly, as it ends `cat`.
pub(crate) fn print(text: &str) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::told(Exit::Ok)),
        result => result.or_fail(Exit::Failure, || "cannot write to standard output".to_owned()),
    }
}

/// Writes one line of data.
pub(crate) fn print_line(line: &str) -> Outcome {
    print(&format!("{line}\n"))
}

/// Writes a message. Nobody left to read it is no error.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
