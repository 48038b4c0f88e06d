//! Which cases run, against how many servers at once, and what happens in each.

mod command_line;
mod coverage;
mod event;
mod library;
mod paper;
mod plan;
mod player;
mod runner;
mod selection;
mod shard;
mod timeouts;

pub(crate) use command_line::{joined, quoted};
pub use coverage::Coverage;
pub use event::{End, Event, Generated, Start};
pub use library::{File, Library, LibraryError, check};
pub use paper::{PaperError, PaperTarget};
pub use plan::{Plan, Planned, Skip};
pub use player::{Context, Exchange, Play, Rehearsal, play, rehearse};
pub use runner::{Runner, RunnerError};
pub use selection::Selection;
pub use shard::shard_of;
pub use timeouts::Timeouts;
