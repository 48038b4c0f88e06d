//! One conversation with a server: connections, descriptors, the memory that the client lends, deadlines and the
//! transcript.

mod connection;
mod conversation;
mod deadline;
mod descriptor;
mod direct;
mod dma_command;
mod fork;
mod interrupt;
mod memory;
mod outstanding;
mod pages;
mod serving;
mod transcript;
mod twin;

pub use connection::{Connection, Ended, Incoming};
pub use conversation::{Answer, Conversation, Effect, End, Judged, Origin, Passed, Request, Sent};
pub use deadline::Deadline;
pub use descriptor::{Held, Signals};
pub use direct::Direct;
pub use fork::forking;
pub use interrupt::{Interrupt, Waited, wait};
pub use memory::{ClientMemory, LentRange};
pub use pages::pages_text;
pub use serving::{Alteration, Serving};
pub use transcript::{Entry, EntryField, KEPT_BYTES, Place, Transcript, Way, hex, value_text};
