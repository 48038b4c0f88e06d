//! Whether the server takes DMA maps, keeps a table of them, and maps client memory.

use std::io;

use nix::errno::Errno;
use vfio_user_wire::message::{DMA_MAP, DMA_UNMAP};
use vfio_user_wire::{Dialect, Layout};

use super::ProbeError;
use super::asker::{Asked, Asker, Question, Trouble};
use crate::session::Held;
use crate::target::Discovered;

const ADDRESS: u64 = 0x10_0000;

pub(super) fn ask(asker: &Asker<'_>, found: &mut Discovered) -> Result<(), ProbeError> {
    let page = found.page_size();
    let (mut maps, mut refuses, mut holds) = (None, false, false);
    asker.group("DMA_MAP", found, |question, _| {
        maps = Some(takes_maps(question, page)?);
        Ok(())
    })?;
    if maps == Some(true) {
        asker.group("DMA_UNMAP of what was never mapped", found, |question, _| {
            refuses = !takes_unmap(question, page)?;
            Ok(())
        })?;
        asker.group("DMA_MAP of a memfd", found, |question, _| {
            let memory = memory(page)?;
            let map = map_request(question.dialect(), ADDRESS, page, true)?;
            let fds: Vec<_> = memory.descriptor().into_iter().collect();
            holds = question.ask(DMA_MAP.name, &map, &fds)?.is_ok() && !sealed(&memory)?;
            Ok(())
        })?;
    }
    match maps {
        Some(true) => {
            found.yes("dma", &[]);
            found.no("no-dma", "the target takes DMA maps");
        }
        Some(false) => {
            found.yes("no-dma", &[]);
            found.no("dma", "the target refuses DMA_MAP");
        }
        None => found.no("dma", "the target does not answer DMA_MAP"),
    }
    if holds {
        found.yes("dma-mapping", &[]);
    } else {
        found.no("dma-mapping", "the target holds no mapping of client memory");
    }
    if refuses || holds {
        found.yes("dma-table", &[]);
        found.no("no-dma-table", "the target keeps a table of DMA maps");
    } else {
        found.no("dma-table", "the target is not shown to keep a table of DMA maps");
        if maps == Some(true) {
            found.yes("no-dma-table", &[]);
        } else {
            found.no("no-dma-table", "the target takes no DMA maps");
        }
    }
    let mut pid = false;
    asker.group("SO_PEERCRED", found, |question, _| {
        pid = question.has_pid();
        Ok(())
    })?;
    if pid {
        found.yes("pid", &[]);
    } else {
        found.no("pid", "the server's process is not known");
    }
    Ok(())
}

/// A client meets the map of one before it: a server of version 8 should take no action when a client leaves (at 595dff9,
/// 269-270).
pub(super) fn keeps(asker: &Asker<'_>, found: &mut Discovered) -> Result<bool, ProbeError> {
    let (page, mut keeps) = (found.page_size(), false);
    for _ in 0..2 {
        asker.group("DMA_MAP of what an earlier client may have left", found, |question, _| {
            let map = map_request(question.dialect(), ADDRESS, page, false)?;
            keeps |= question.venture(DMA_MAP.name, &map, &[])?.err() == Some(Errno::EEXIST as u32);
            Ok(())
        })?;
    }
    Ok(keeps)
}

/// It takes a map of that size, in this version's form; it may take only what it can map itself.
pub(super) fn takes_maps(question: &mut Question<'_>, size: u64) -> Asked<bool> {
    let plain = map_request(question.dialect(), ADDRESS, size, false)?;
    if question.ask(DMA_MAP.name, &plain, &[])?.is_ok() {
        return Ok(true);
    }
    let memory = memory(size)?;
    let fds: Vec<_> = memory.descriptor().into_iter().collect();
    let map = map_request(question.dialect(), ADDRESS, size, true)?;
    Ok(question.ask(DMA_MAP.name, &map, &fds)?.is_ok())
}

/// Memory of that size, which may be a page that the server states.
fn memory(size: u64) -> Asked<Held> {
    if i64::try_from(size).is_err() {
        return Err(Trouble::Answer(format!("there is no file of {size:#x} bytes")));
    }
    Ok(Held::memfd(size, false)?)
}

/// F_SEAL_WRITE could be added. The server has the file, too, and may have sealed the seals.
fn sealed(memory: &Held) -> Asked<bool> {
    match memory.seal() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Trouble::Answer("the server has sealed the memory of the client".to_owned()))
        }
        sealed => Ok(sealed?),
    }
}

/// It takes the unmap of such a map.
pub(super) fn takes_unmap(question: &mut Question<'_>, size: u64) -> Asked<bool> {
    let fields = [("argsz", 24), ("address", ADDRESS), ("size", size)];
    let unmap = request(question.dialect(), DMA_UNMAP.name, &fields)?;
    Ok(question.venture(DMA_UNMAP.name, &unmap, &[])?.is_ok())
}

/// DMA_MAP of a region that the device may read and write, as this version has it: by itself, or as the one entry of a
/// table.
pub(super) fn map_request(dialect: &Dialect, address: u64, size: u64, with_fd: bool) -> Asked<Vec<u8>> {
    const READ_AND_WRITE: u64 = 3;
    let table = fixed(dialect, DMA_MAP.name)?.field("protections").is_some();
    // In a table `flags` says whether a descriptor comes along; later it says what the device may do.
    let flags = if table { u64::from(with_fd) } else { READ_AND_WRITE };
    let fields =
        [("argsz", 32), ("flags", flags), ("protections", READ_AND_WRITE), ("address", address), ("size", size)];
    request(dialect, DMA_MAP.name, &fields)
}

/// The fixed part of a request with these fields, as far as this version has them.
pub(super) fn request(dialect: &Dialect, name: &str, fields: &[(&str, u64)]) -> Asked<Vec<u8>> {
    Ok(filled(fixed(dialect, name)?, fields))
}

/// A structure with these fields, as far as it has them.
pub(super) fn filled(layout: &Layout, fields: &[(&str, u64)]) -> Vec<u8> {
    let mut payload = vec![0; layout.size];
    for (name, value) in fields {
        if let Some(field) = layout.field(name) {
            field.write(&mut payload, *value);
        }
    }
    payload
}

pub(super) fn fixed(dialect: &Dialect, name: &str) -> Asked<&'static Layout> {
    dialect.command(name).and_then(|(_, message)| message.request.fixed).ok_or(Trouble::Absent)
}
