//! DEVICE_GET_INFO of version 8, whose request is a header alone.

use vfio_user_wire::message::DeviceInfo;
use vfio_user_wire::tables::Table;

use super::super::super::Command;
use super::super::super::permits::Permits;
use super::super::super::session::State;
use super::{queries, table};
use crate::verdict::Class::Note;

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    match command.payload.len() {
        // 0.9.1 asks as later texts do.
        _ if table(state) == Table::V8c => queries::permits_info(state, command),
        0 if command.fds.is_empty() => Permits::success("V8-12", Note, "success: the request is the header alone"),
        size if size == DeviceInfo::LAYOUT.size => Permits::either().testing("V8-12"),
        _ => Permits::either(),
    }
}
