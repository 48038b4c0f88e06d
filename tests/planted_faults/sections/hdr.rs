//! Header and message framing.

use crate::fault::{Fault, fault};
use crate::wrapper::replies;

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    vec![
        // A counter of the server's own in place of the client's number.
        fault("HDR-02", "the-next-id", || replies(|_, reply| reply.header.id = reply.header.id.wrapping_add(1))),
    ]
}
