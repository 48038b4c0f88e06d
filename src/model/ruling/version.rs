//! VERSION.

use std::sync::Arc;

use serde_json::Value;
use vfio_user_wire::VersionData;
use vfio_user_wire::message::Version;
use vfio_user_wire::tables::Table;

use super::super::edition::Edition;
use super::super::permits::Permits;
use super::super::session::{Given, Phase, State};
use super::super::version::negotiated;
use super::super::{Command, LetGo};
use super::legacy;
use crate::verdict::Class::{Note, Violation};

/// What clients in use propose: a server that requires something else serves none of them.
fn usual(edition: Edition) -> &'static [&'static str] {
    match edition {
        Edition::Current => &["max_msg_fds", "max_data_xfer_size", "max_dma_maps", "pgsizes", "write_multiple"],
        Edition::Legacy => &["max_msg_fds", "max_data_xfer_size", "migration"],
        Edition::Tables(_) => &["max_fds", "max_msg_fds", "max_msg_size", "migration"],
    }
}

/// Longer version data may be more than a server reads.
const LONG: usize = 512;

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    let mut permits = permits_proposal(state, command);
    let data = command.payload.get(Version::LAYOUT.size..).unwrap_or_default();
    let proposed = VersionData::parse(data).unwrap_or_default();
    // 478-479: a server that requires a capability which the client did not include closes the connection.
    if usual(state.edition()).iter().any(|name| proposed.capability(name).is_none()) {
        permits.closed.clear();
    }
    permits
}

fn permits_proposal(state: &State, command: &Command) -> Permits {
    let Some((version, data)) = Version::parse(&command.payload) else { return Permits::either() };
    if state.phase != Phase::Connected {
        return Permits::either();
    }
    match version.major {
        0 => {}
        u16::MAX => return Permits::refusal("VER-02", Violation, "a refusal: no server has major version 65535"),
        _ => return Permits::refusal("VER-02", Note, "a refusal: there is no major version but 0"),
    }
    if !command.fds.is_empty() {
        return Permits::either();
    }
    if data.is_empty() {
        return Permits::success("VER-09", Violation, "success: the version data is optional");
    }
    let Ok(proposed) = VersionData::parse(data) else {
        return Permits::either().testing(if data.len() > LONG { "VER-26" } else { "VER-24" });
    };
    if data.len() > LONG {
        return Permits::either().testing("VER-26");
    }
    if !text_ends_at_nul(data) {
        return Permits::either().testing("VER-24");
    }
    if proposed.members().keys().any(|name| name != "capabilities") {
        return Permits::success("VER-22", Note, "success: an unknown member means nothing");
    }
    let Some(capabilities) = proposed.capabilities() else {
        return Permits::success("VER-11", Violation, "success: the member capabilities is optional");
    };
    let (mut unknown, mut fd_index, mut other) = (false, false, None);
    for (name, value) in capabilities {
        let usual = match name.as_str() {
            "max_msg_fds" => value.as_u64().is_some_and(|fds| (1..=16).contains(&fds)),
            "max_data_xfer_size" => value.as_u64().is_some_and(|size| (65536..=64 << 20).contains(&size)),
            "max_dma_maps" => value.as_u64().is_some_and(|maps| (1..=65535).contains(&maps)),
            "pgsizes" => value.as_u64() == Some(4096),
            "migration" if state.edition() != Edition::Current => {
                other = legacy::permits_migration(state, value);
                true
            }
            "migration" => value.get("pgsize").and_then(Value::as_u64) == Some(4096),
            "write_multiple" => value.is_boolean(),
            "twin_socket" => {
                fd_index = value.get("fd_index").is_some_and(Value::is_u64);
                is_proposal(value)
            }
            _ => {
                unknown = true;
                !value.is_object() && !value.is_array()
            }
        };
        if !usual {
            return Permits::either().testing("VER-25");
        }
    }
    if let Some(permits) = other {
        return permits;
    }
    if fd_index {
        // 553-554: it is valid only in the reply.
        let ignored = "success: fd_index means nothing in a request";
        let permits = Permits::success("TWIN-11", Note, ignored);
        return Permits { closed: permits.error.clone(), ..permits };
    }
    if state.edition() != Edition::Current && version.minor <= 1 && !capabilities.contains_key("migration") {
        return Permits::success("L-VER-03", Violation, "success: a client need not be able to migrate");
    }
    match (unknown, version.minor) {
        (true, _) => Permits::success("VER-22", Violation, "success: an unknown capability is just not selected"),
        (false, 0) => Permits::success("VER-04", Violation, "success: version 0.0 is below every other"),
        (false, _) => Permits::success("VER-03", Note, "success, with a minor version of at most the proposed one"),
    }
}

/// `supported` true or false, and nothing else but an fd_index that means nothing.
fn is_proposal(twin_socket: &Value) -> bool {
    let Value::Object(members) = twin_socket else { return false };
    members.iter().all(|(name, value)| match name.as_str() {
        "supported" => value.is_boolean(),
        "fd_index" => value.is_u64(),
        _ => false,
    })
}

/// One NUL, and nothing behind it.
fn text_ends_at_nul(data: &[u8]) -> bool {
    data.iter().position(|byte| *byte == 0) == data.len().checked_sub(1)
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    if let Given::Ok(payload) = given {
        let data = VersionData::parse(payload.get(Version::LAYOUT.size..).unwrap_or_default()).unwrap_or_default();
        state.write_multiple = data.capability("write_multiple") == Some(&Value::Bool(true));
        if let Edition::Current | Edition::Legacy = state.edition() {
            let proposed = command.payload.get(Version::LAYOUT.size..).unwrap_or_default();
            state.heed(&VersionData::parse(proposed).unwrap_or_default(), data.limits());
        }
        if state.edition() != Edition::Current {
            state.migrating = legacy::agreed(state.edition(), &negotiated(&command.payload, payload));
            if !state.migrating.client && state.edition() != Edition::Tables(Table::V8) {
                Arc::make_mut(&mut state.offer).hide_migration();
            }
        }
    }
    state.phase = match (given, state.phase) {
        (Given::Ok(_), Phase::Connected | Phase::Refused | Phase::Perhaps) => Phase::Negotiated,
        (Given::Unknown, Phase::Refused) => Phase::Perhaps,
        (_, phase) => phase,
    };
    if !matches!(given, Given::Error) {
        state.client_limits = negotiated(&command.payload, &[]).client_limits();
    }
}
