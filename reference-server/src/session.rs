//! What a client set up: it ends with the connection (specification 298-303), but in version 8.

use vfio_user_wire::{DEFAULT_MAX_DATA_XFER_SIZE, Limits};

use crate::dirty_log::DirtyLog;
use crate::dma_table::DmaTable;
use crate::doorbells::Doorbells;
use crate::effect::Channel;
use crate::irq_table::IrqTable;
use crate::memory::Memory;
use crate::transfer::Transfer;

/// What VERSION agreed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreed {
    /// What the client stated.
    pub(crate) limits: Limits,
    /// The client may send REGION_WRITE_MULTI (538-539).
    pub(crate) write_multiple: bool,
    /// Bytes of memory for each bit of dirty bitmaps, where both sides can migrate by an older protocol.
    pub(crate) pgsize: Option<u64>,
    /// The most bytes of one message to the client, header included, where the protocol has such a limit.
    pub(crate) max_msg_size: u64,
}

/// The twin socket of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Twin {
    /// There is none.
    #[default]
    Absent,
    /// It is in use.
    Open,
    /// The client is not to be reached by it any more.
    Lost,
}

/// The state of one connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// What VERSION agreed on; `None` before it.
    pub(crate) agreed: Option<Agreed>,
    /// Client memory.
    pub(crate) maps: DmaTable,
    /// What the device wrote into it, while that is logged.
    pub(crate) log: DirtyLog,
    /// Assigned interrupts.
    pub(crate) irqs: IrqTable,
    /// The second channel, if VERSION brought one.
    pub(crate) twin: Twin,
    /// What the DMA engine is at.
    pub(crate) transfer: Option<Transfer>,
    /// Doorbells that need no message.
    pub(crate) doorbells: Doorbells,
    last_id: u16,
}

impl Session {
    /// The most bytes of one DMA message: the client's limit (1303-1304), and no more than what a reply to this server
    /// can hold.
    pub(crate) fn max_dma_count(&self) -> u64 {
        self.agreed
            .map_or_else(Limits::default, |agreed| agreed.limits)
            .max_data_xfer_size
            .min(DEFAULT_MAX_DATA_XFER_SIZE)
    }

    /// Where commands of the server's own go (209-212); `None` where they can go nowhere.
    pub(crate) fn command_channel(&self) -> Option<Channel> {
        match self.twin {
            Twin::Absent => Some(Channel::Main),
            Twin::Open => Some(Channel::Twin),
            Twin::Lost => None,
        }
    }

    /// An id for a command of the server's own.
    pub(crate) fn next_id(&mut self) -> u16 {
        // 0 is the id of every VM_INTERRUPT.
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }

    /// Lets go of all that the client passed.
    pub(crate) fn end(&mut self, memory: &mut dyn Memory) {
        for address in self.maps.direct() {
            memory.unmap(address);
        }
        *self = Session::default();
    }
}
