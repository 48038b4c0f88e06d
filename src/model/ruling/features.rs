//! DEVICE_FEATURE.

use super::super::Command;
use super::super::permits::Permits;
use super::super::session::State;

pub(super) fn permits(_: &State, _: &Command) -> Permits {
    Permits::either()
}
