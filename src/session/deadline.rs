//! A point in time by which something must have happened.

use std::time::{Duration, Instant};

use nix::poll::PollTimeout;

/// A point in time by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// `duration` from now; far away where that cannot be said.
    pub fn after(duration: Duration) -> Deadline {
        let now = Instant::now();
        Deadline(now.checked_add(duration).unwrap_or(now + Duration::from_secs(86400)))
    }

    /// It has passed.
    pub fn passed(&self) -> bool {
        Instant::now() >= self.0
    }

    /// How long until then.
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The earlier of the two.
    pub fn or(self, other: Deadline) -> Deadline {
        Deadline(self.0.min(other.0))
    }

    /// The earlier of this and `duration` from now.
    pub fn or_after(self, duration: Duration) -> Deadline {
        Deadline(self.0.min(Deadline::after(duration).0))
    }

    /// For poll(2), rounded up so that the deadline has passed when it returns 0.
    pub fn poll_timeout(&self) -> PollTimeout {
        let left = self.left();
        let millis = left.as_millis().saturating_add(u128::from(!left.subsec_nanos().is_multiple_of(1_000_000)));
        PollTimeout::try_from(millis.min(60_000)).unwrap_or(PollTimeout::MAX)
    }
}
