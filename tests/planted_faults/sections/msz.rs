//! argsz and size limits.

use crate::fault::Fault;

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    Vec::new()
}
