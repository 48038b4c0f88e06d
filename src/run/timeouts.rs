//! How long the harness waits for what.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use vfio_user_wire::Message;
use vfio_user_wire::legacy::DIRTY_PAGES;
use vfio_user_wire::message::{DEVICE_FEATURE, DEVICE_RESET, DMA_MAP, DMA_UNMAP, MIG_DATA_READ, MIG_DATA_WRITE};

use crate::session::Patience;

/// How long the harness waits for what; all of it scales with `--timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a reply, a signal, a change in memory.
    pub reply: Duration,
    /// For what may take long: the reply to a command of [`Timeouts::may_take_long`], all that a server has to do before a
    /// reply, and what it does when its client has left.
    pub long: Duration,
    /// For a reply that need not come.
    pub settle: Duration,
    /// For a server to accept its first connection, and to read the first message on any.
    pub start: Duration,
    /// For a server's end, after it closed a connection, where it is known to end then.
    pub exit: Duration,
}

/// Deadlines for a reply that a whole conversation may take: many more than a slow server needs that answers each command in
/// time. One that keeps it going beyond has the time of the harness, and no end.
const WHOLE: u32 = 250;

impl Timeouts {
    /// All of them, from the one for a reply.
    pub fn from_reply(reply: Duration) -> Timeouts {
        Timeouts { reply, long: reply * 5, settle: reply / 8, start: reply * 5, exit: reply }
    }

    /// "Certain commands" may take arbitrarily long (specification 262-265), of which the text names DEVICE_RESET alone. The
    /// others are those for which a device must come to rest first, or collect or take in what it was doing: where it
    /// reaches into client memory no longer or anew, where it changes its state of migration, and what tells that state or
    /// what was written.
    pub fn may_take_long(message: &Message) -> bool {
        let long =
            [&DEVICE_RESET, &DMA_MAP, &DMA_UNMAP, &DEVICE_FEATURE, &MIG_DATA_READ, &MIG_DATA_WRITE, &DIRTY_PAGES];
        long.iter().any(|long| long.name == message.name)
    }

    /// For the reply to a command.
    pub fn of(&self, message: Option<&Message>) -> Duration {
        if message.is_some_and(Timeouts::may_take_long) { self.long } else { self.reply }
    }

    /// What a conversation is given of them.
    pub fn patience(&self) -> Patience {
        Patience { reply: self.reply, first: self.start, most: self.long }
    }

    /// For one play of a case, or for all that is asked of a target: whatever a server does, it ends then.
    pub fn whole(&self) -> Duration {
        self.reply.saturating_mul(WHOLE)
    }
}

impl fmt::Display for Timeouts {
    /// The one for a reply, as it is read: `2s`, `500ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.reply)
    }
}

impl FromStr for Timeouts {
    type Err = String;

    /// From the one for a reply: `2`, `2s`, `500ms`, `1.5s`, `1m`.
    fn from_str(text: &str) -> Result<Timeouts, String> {
        let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
            Some(at) => text.split_at(at),
            None => (text, "s"),
        };
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            _ => return Err(format!("`{unit}` is no unit: ms, s or m")),
        };
        let seconds = number.parse::<f64>().map_err(|_| format!("`{number}` is no number"))? * factor;
        if (0.001..=3600.0).contains(&seconds) {
            Ok(Timeouts::from_reply(Duration::from_secs_f64(seconds)))
        } else {
            Err("between 1ms and 60m".to_owned())
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts::from_reply(Duration::from_secs(2))
    }
}
