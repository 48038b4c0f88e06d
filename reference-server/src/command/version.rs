//! VERSION (specification 461-593).

use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use serde_json::{Map, Value, json};
use vfio_user_wire::message::Version;
use vfio_user_wire::tables::Table;
use vfio_user_wire::{
    DEFAULT_MAX_DATA_XFER_SIZE, DEFAULT_MAX_DMA_MAPS, DEFAULT_PGSIZES, Frame, HEADER_SIZE, Limits, VersionData,
};

use crate::answer::Answer;
use crate::effect::Effect;
use crate::legacy::capability;
use crate::session::Agreed;
use crate::settings::{Profile, Settings};
use crate::tables::{self, limits::MAX_MSG_SIZE};
use crate::without::Feature;

/// The major version that is spoken.
const MAJOR: u16 = 0;
/// The largest minor version that is spoken.
const MINOR: u16 = 1;
/// Descriptors that this server promises to take in one message.
const MAX_MSG_FDS: u64 = 16;

/// The numbers that this server states, where the client states them, too. Older protocols have less of them.
fn stated(profile: Profile) -> &'static [(&'static str, u64)] {
    match profile {
        Profile::V0_9_2 => &[
            ("max_msg_fds", MAX_MSG_FDS),
            ("max_data_xfer_size", DEFAULT_MAX_DATA_XFER_SIZE),
            ("max_dma_maps", DEFAULT_MAX_DMA_MAPS),
            ("pgsizes", DEFAULT_PGSIZES),
        ],
        Profile::V0_9_1 => &[("max_msg_fds", MAX_MSG_FDS), ("max_data_xfer_size", DEFAULT_MAX_DATA_XFER_SIZE)],
        Profile::V8C => &[("max_msg_fds", MAX_MSG_FDS), ("max_msg_size", MAX_MSG_SIZE)],
        Profile::V8 => &[("max_fds", MAX_MSG_FDS), ("max_msg_size", MAX_MSG_SIZE)],
    }
}

/// Agrees on a version, and on what both sides support. A client that wants a twin socket gets one.
///
/// # Errors
/// Where there is nothing to agree on; the connection ends then (88-90).
pub(crate) fn version(settings: Settings, command: &Frame) -> Result<(Answer, Agreed), Errno> {
    let (proposed, data) = Version::parse(&command.payload).ok_or(Errno::EINVAL)?;
    if proposed.major != MAJOR {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let client = VersionData::parse(data).map_err(|_| Errno::EINVAL)?;
    well_typed(settings, &client)?;
    let (limits, max_msg_size) = match settings.profile {
        Profile::V8 => tables::limits::limits(Table::V8, &client),
        Profile::V8C => tables::limits::limits(Table::V8c, &client),
        Profile::V0_9_1 | Profile::V0_9_2 => (limits(settings, &client), u64::MAX),
    };
    let pgsize = capability::pgsize(settings, &client)?;
    // No byte could be transferred.
    if limits.max_data_xfer_size == 0 {
        return Err(Errno::EINVAL);
    }
    let write_multiple =
        client.capability("write_multiple") == Some(&Value::Bool(true)) && !settings.lacks(Feature::WriteMulti);
    let agreed = Version { major: MAJOR, minor: proposed.minor.min(MINOR) };
    let mut answer = Answer::payload(agreed.bytes());
    let mut capabilities = selected(settings, &client);
    if pgsize.is_some() {
        capability::state(&mut capabilities);
    }
    if write_multiple {
        capabilities.insert("write_multiple".to_owned(), Value::Bool(true));
    }
    // The client's end travels with the reply (569-570).
    if wants_twin(&client, &limits) && !command.header.no_reply() && !settings.lacks(Feature::TwinSocket) {
        capabilities.extend(open_twin(&mut answer));
    }
    if !data.is_empty() {
        answer.payload.extend(VersionData::with_capabilities(capabilities).bytes());
    }
    // A client that could not even take this could take no reply to a command that was carried out.
    if HEADER_SIZE as u64 + answer.payload.len() as u64 > max_msg_size {
        return Err(Errno::E2BIG);
    }
    Ok((answer, Agreed { limits, write_multiple, pgsize, max_msg_size }))
}

/// The client supports a twin socket (563-565), and can take its end of one.
fn wants_twin(client: &VersionData, limits: &Limits) -> bool {
    let supported = client.capability("twin_socket").and_then(|twin_socket| twin_socket.get("supported"));
    supported == Some(&Value::Bool(true)) && limits.max_msg_fds > 0
}

/// Sets up a twin socket (566-574), and returns the capability that says so; nothing where no sockets are to be had.
fn open_twin(answer: &mut Answer) -> Option<(String, Value)> {
    let (ours, clients) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).ok()?;
    answer.then = Some(Effect::Twin { socket: Arc::new(ours) });
    let fd_index = answer.fds.len();
    answer.fds.push(Arc::new(clients));
    Some(("twin_socket".to_owned(), json!({ "supported": true, "fd_index": fd_index })))
}

/// The client's numbers, or the defaults. 0 is a number: a client may take no descriptors (46-48, 517-518).
fn limits(settings: Settings, client: &VersionData) -> Limits {
    let known = |name| stated(settings.profile).iter().any(|(known, _)| *known == name);
    let number = |name, default| client.number(name).filter(|_| known(name)).unwrap_or(default);
    let defaults = Limits::default();
    Limits {
        max_msg_fds: number("max_msg_fds", defaults.max_msg_fds),
        max_data_xfer_size: number("max_data_xfer_size", defaults.max_data_xfer_size),
        max_dma_maps: number("max_dma_maps", defaults.max_dma_maps),
        pgsizes: number("pgsizes", defaults.pgsizes),
    }
}

/// What of the proposed this server selects: the reply holds no name that the client did not propose (478).
fn selected(settings: Settings, client: &VersionData) -> Map<String, Value> {
    let proposed = stated(settings.profile).iter().filter(|(name, _)| client.capability(name).is_some());
    proposed.map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
}

/// Every capability that the specification names has the type that it gives (514-558).
fn well_typed(settings: Settings, client: &VersionData) -> Result<(), Errno> {
    let numbers = stated(settings.profile).iter().all(|(name, _)| client.capability(name).is_none_or(Value::is_u64));
    // A name that the protocol has not may have any value.
    let known = |name, feature| client.capability(name).filter(|_| settings.profile.has(feature));
    let write_multiple = known("write_multiple", Feature::WriteMulti).is_none_or(Value::is_boolean);
    let twin_socket = known("twin_socket", Feature::TwinSocket).is_none_or(|twin_socket| {
        let Value::Object(twin_socket) = twin_socket else { return false };
        twin_socket.get("supported").is_none_or(Value::is_boolean)
            && twin_socket.get("fd_index").is_none_or(Value::is_u64)
    });
    if numbers && write_multiple && twin_socket { Ok(()) } else { Err(Errno::EINVAL) }
}
