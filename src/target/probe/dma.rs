//! Whether the server takes DMA maps, keeps a table of them, and maps client memory.

use vfio_user_wire::message::{DMA_MAP, DMA_UNMAP, DmaMap, DmaUnmap};

use super::ProbeError;
use super::asker::Asker;
use crate::session::Held;
use crate::target::Discovered;

const ADDRESS: u64 = 0x10_0000;

pub(super) fn ask(asker: &Asker<'_>, found: &mut Discovered) -> Result<(), ProbeError> {
    let page = found.page_size();
    let (mut maps, mut refuses, mut holds) = (None, false, false);
    asker.group("DMA_MAP", found, |question, _| {
        let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: ADDRESS, size: page };
        // A server may take only what it can map itself.
        let memory = Held::memfd(page, false)?;
        let fds: Vec<_> = memory.descriptor().into_iter().collect();
        let plain = question.ask(DMA_MAP.name, map.bytes(), &[])?.is_ok();
        maps = Some(plain || question.ask(DMA_MAP.name, map.bytes(), &fds)?.is_ok());
        Ok(())
    })?;
    if maps == Some(true) {
        asker.group("DMA_UNMAP of what was never mapped", found, |question, _| {
            let unmap = DmaUnmap { argsz: 24, flags: 0, address: ADDRESS, size: page };
            refuses = question.ask(DMA_UNMAP.name, unmap.bytes(), &[])?.is_err();
            Ok(())
        })?;
        asker.group("DMA_MAP of a memfd", found, |question, _| {
            let memory = Held::memfd(page, false)?;
            let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: ADDRESS, size: page };
            let fds: Vec<_> = memory.descriptor().into_iter().collect();
            holds = question.ask(DMA_MAP.name, map.bytes(), &fds)?.is_ok() && !memory.seal()?;
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
