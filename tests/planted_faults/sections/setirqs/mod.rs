//! DEVICE_SET_IRQS.

mod act;
mod assign;
mod mask;
mod refuse;

use crate::fault::Fault;

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [assign::faults(), act::faults(), mask::faults(), refuse::faults()].into_iter().flatten().collect()
}
