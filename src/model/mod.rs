//! What a conforming server may answer, as pure functions without I/O: the one judge of replies.
//!
//! Here is what holds for every reply, whatever a case asks for: its header, its size, what its fixed fields must say,
//! the limits that were negotiated, and nothing extra.

mod capabilities;
mod command;
mod device_info;
mod irq_info;
mod judgement;
mod region_access;
mod region_info;
mod reply;
mod request;
mod version;

pub use command::{Command, Negotiated, Reply};
pub use judgement::{Judgement, Judgements};
pub use reply::{judge_order, judge_reply};
pub use request::judge_request;
pub use version::negotiated;

#[cfg(test)]
mod tests;
