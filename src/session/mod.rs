//! One conversation with a server: connections, descriptors, the memory that the client lends, deadlines and the
//! transcript.

mod connection;
mod conversation;
mod deadline;
mod descriptor;
mod direct;
mod dma_command;
mod end;
mod exchange;
mod interrupt;
mod memory;
mod outstanding;
mod pages;
mod patience;
mod proposal;
mod request;
mod serving;
mod transcript;
mod twin;
mod want;

pub use connection::{Connection, Ended, Incoming};
pub use conversation::Conversation;
pub use deadline::Deadline;
pub use descriptor::{Held, Signals};
pub use direct::Direct;
pub use end::End;
pub use exchange::{Answer, Effect, Judged, Origin, Passed, Sent};
pub use interrupt::{Interrupt, Waited, wait};
pub use memory::{ClientMemory, LentRange};
pub use pages::pages_text;
pub use patience::Patience;
pub use proposal::{TWIN_PROPOSAL, usual_proposal, version_payload};
pub use request::Request;
pub use serving::{Alteration, Serving};
pub use transcript::{Entry, EntryField, KEPT_BYTES, Place, Transcript, Way, hex, value_text};
pub use want::is_want;
