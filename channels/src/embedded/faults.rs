//! Faults a test may plant, to prove that the simulation and the black-box tests notice them.
//!
//! Without the feature `planted-faults` (and outside tests) [`Faults`] is empty, every question is answered `false` at
//! compile time, and nothing of this is left in the program.

/// A promise the log can be made to break.
#[cfg(any(test, feature = "planted-faults"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Acknowledges without a sync.
    SkipSync,
    /// Publishes and acknowledges a batch although its sync failed.
    IgnoreSyncError,
    /// Reads records whose checksum does not fit.
    TrustBadChecksum,
    /// Saves progress one event further than it is.
    SaveCursorAhead,
    /// Acknowledges progress without a sync.
    SkipCursorSync,
    /// Deletes segments that a subscription still needs.
    DeleteSegmentEarly,
    /// Does not make the name of a new segment durable.
    SkipDirectorySync,
    /// Gives offsets out again that a damaged tail may have used.
    ReuseOffsets,
    /// Goes on after a failed write without cutting back what was half written.
    KeepFailedWrite,
    /// Trusts what the page cache shows of the last batch after a restart.
    TrustPageCache,
    /// Forgets which ids were seen when the log is opened again.
    ForgetDedupe,
}

#[cfg(any(test, feature = "planted-faults"))]
impl Fault {
    /// Every fault there is.
    pub const ALL: [Self; 11] = [
        Self::SkipSync,
        Self::IgnoreSyncError,
        Self::TrustBadChecksum,
        Self::SaveCursorAhead,
        Self::SkipCursorSync,
        Self::DeleteSegmentEarly,
        Self::SkipDirectorySync,
        Self::ReuseOffsets,
        Self::KeepFailedWrite,
        Self::TrustPageCache,
        Self::ForgetDedupe,
    ];
}

/// The faults planted in one log: at most one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    #[cfg(any(test, feature = "planted-faults"))]
    planted: Option<Fault>,
}

#[cfg(any(test, feature = "planted-faults"))]
impl Faults {
    /// Plants `fault`.
    pub(crate) const fn plant(fault: Fault) -> Self {
        Self { planted: Some(fault) }
    }

    pub(crate) fn on(self, fault: Fault) -> bool {
        self.planted == Some(fault)
    }
}

/// Asks whether a fault is planted; `false` at compile time where none can be.
macro_rules! planted {
    ($faults:expr, $fault:ident) => {{
        #[cfg(any(test, feature = "planted-faults"))]
        let planted = $faults.on($crate::embedded::faults::Fault::$fault);
        #[cfg(not(any(test, feature = "planted-faults")))]
        let planted = {
            let _ = &$faults;
            false
        };
        planted
    }};
}
pub(crate) use planted;
