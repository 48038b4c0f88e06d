//! Messages for Wireshark: the captures, and the dissector that reads them.
//!
//! No link type is vfio-user's, so a packet of a capture has the type that is left to its users, USER0, and begins with
//! a [pseudo-header](PseudoHeader) of what the message itself does not say.

mod capture;
mod dissector;
mod pseudo_header;

pub use capture::Pcapng;
pub use dissector::dissector;
use pseudo_header::PseudoHeader;
