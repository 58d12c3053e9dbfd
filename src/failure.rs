//! How a command ends: one exit code per kind of outcome, and one line that says what, why and what to do next.

use std::fmt;
use std::process::ExitCode;

/// Every way `weir` ends, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Nothing more to say: not an error.
    Ok = 0,
    /// Did not work.
    Failure = 1,
    /// The command line, the configuration or a manifest is wrong.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// Something else holds or changed it.
    Conflict = 4,
    /// The event was accepted but not delivered.
    NotDelivered = 5,
    /// The server does not allow it.
    NotAllowed = 6,
    /// Nobody answers, or not in time.
    Unavailable = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: Option<anyhow::Error>,
    next: Option<String>,
    /// The text says itself whose error it is.
    plain: bool,
}

/// What every command returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// Something went wrong: `error` says what and why.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: Some(error.into()), next: None, plain: false }
    }

    /// The same from a text.
    pub(crate) fn text(exit: Exit, text: impl Into<String>) -> Self {
        Self::new(exit, anyhow::Error::msg(text.into()))
    }

    /// A server's words, told the way `kubectl` tells them.
    pub(crate) fn server(exit: Exit, text: String) -> Self {
        Self { plain: true, ..Self::text(exit, text) }
    }

    /// An exit code whose reason has been printed already.
    pub(crate) const fn told(exit: Exit) -> Self {
        Self { exit, error: None, next: None, plain: true }
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn next(mut self, advice: impl Into<String>) -> Self {
        self.next = Some(advice.into());
        self
    }

    /// Puts `what` before the reason.
    #[must_use]
    pub(crate) fn context(mut self, what: impl fmt::Display + Send + Sync + 'static) -> Self {
        self.error = self.error.map(|error| error.context(what));
        self
    }

    /// The exit code.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// The line for standard error; `None` if there is nothing left to tell.
    pub(crate) fn line(&self) -> Option<String> {
        self.error.as_ref()?;
        Some(if self.plain { self.to_string() } else { format!("error: {self}") })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            // `{:#}` prints the chain of causes on one line.
            write!(f, "{error:#}")?;
        }
        if let Some(next) = &self.next {
            write!(f, "; {next}")?;
        }
        Ok(())
    }
}

/// An error without a kind of its own is a plain failure. (`Failure` is no `Error` itself, so that this can be.)
impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Failure, error)
    }
}

/// Gives an error its exit code and says what was being done.
pub(crate) trait OrFail<T> {
    /// `what` is the sentence before the reason: `cannot read a.yaml`.
    fn or_fail(self, exit: Exit, what: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_fail(self, exit: Exit, what: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| Failure::new(exit, error.into().context(what())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_why_and_what_next() {
        let failure = Err::<(), _>(std::io::Error::other("address in use"))
            .or_fail(Exit::Conflict, || "cannot listen on 127.0.0.1:8080".to_owned())
            .expect_err("an error")
            .next("choose another with --listen");
        assert_eq!(
            failure.to_string(),
            "cannot listen on 127.0.0.1:8080: address in use; choose another with --listen"
        );
        assert_eq!(failure.exit(), Exit::Conflict);
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        use Exit::{Conflict, Failure, NotAllowed, NotDelivered, NotFound, Ok, Unavailable, Usage};
        let codes =
            [Ok, Failure, Usage, NotFound, Conflict, NotDelivered, NotAllowed, Unavailable].map(|exit| exit as u8);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
