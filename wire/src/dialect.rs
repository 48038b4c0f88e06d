//! Which command number means which message.

use crate::field::Message;
use crate::{legacy, message};

/// A version of the protocol: the numbers of its commands and the layouts behind them.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The name that `--profile` takes.
    pub name: &'static str,
    /// Command numbers and their messages, by number.
    pub commands: &'static [(u16, &'static Message)],
}

impl Dialect {
    /// The message of that number.
    pub fn message(&self, number: u16) -> Option<&'static Message> {
        self.commands.iter().find(|(known, _)| *known == number).map(|(_, message)| *message)
    }

    /// The number and the message of that name.
    pub fn command(&self, name: &str) -> Option<(u16, &'static Message)> {
        self.commands.iter().find(|(_, message)| message.name == name).copied()
    }

    /// The name of a command number, for people.
    pub fn name_of(&self, number: u16) -> String {
        self.message(number).map_or_else(|| format!("command {number}"), |message| message.name.to_owned())
    }
}

/// Version 0.9.2 (specification 365-392).
pub const V0_9_2: Dialect = Dialect {
    name: "0.9.2",
    commands: &[
        (1, &message::VERSION),
        (2, &message::DMA_MAP),
        (3, &message::DMA_UNMAP),
        (4, &message::DEVICE_GET_INFO),
        (5, &message::DEVICE_GET_REGION_INFO),
        (7, &message::DEVICE_GET_IRQ_INFO),
        (8, &message::DEVICE_SET_IRQS),
        (9, &message::REGION_READ),
        (10, &message::REGION_WRITE),
        (11, &message::DMA_READ),
        (12, &message::DMA_WRITE),
        (13, &message::DEVICE_RESET),
        (15, &message::REGION_WRITE_MULTI),
        (16, &message::DEVICE_FEATURE),
        (17, &message::MIG_DATA_READ),
        (18, &message::MIG_DATA_WRITE),
    ],
};

/// Version 0.9.1: `docs/vfio-user.rst` of libvfio-user before commit 190f85b (September 2023), its last text (367-389).
/// It includes what but the earlier text of commit 9ed0776 (June 2021) has, the flag `mappable` of DMA_MAP.
pub const V0_9_1: Dialect = Dialect {
    name: "0.9.1",
    commands: &[
        (1, &message::VERSION.in_text("0.9.1 at 190f85b^, VERSION 458-591")),
        (2, &legacy::DMA_MAP),
        (3, &legacy::DMA_UNMAP),
        (4, &message::DEVICE_GET_INFO.in_text("0.9.1 at 190f85b^, DEVICE_GET_INFO 748-814")),
        (5, &message::DEVICE_GET_REGION_INFO.in_text("0.9.1 at 190f85b^, DEVICE_GET_REGION_INFO 816-1008")),
        (6, &message::DEVICE_GET_REGION_IO_FDS.in_text("0.9.1 at 190f85b^, DEVICE_GET_REGION_IO_FDS 1010-1172")),
        (7, &message::DEVICE_GET_IRQ_INFO.in_text("0.9.1 at 190f85b^, DEVICE_GET_IRQ_INFO 1174-1253")),
        (8, &message::DEVICE_SET_IRQS.in_text("0.9.1 at 190f85b^, DEVICE_SET_IRQS 1255-1371")),
        (9, &message::REGION_READ.in_text("0.9.1 at 190f85b^, REGION_READ 1373-1423")),
        (10, &message::REGION_WRITE.in_text("0.9.1 at 190f85b^, REGION_WRITE 1425-1467")),
        (11, &message::DMA_READ.in_text("0.9.1 at 190f85b^, DMA_READ 1469-1507")),
        (12, &message::DMA_WRITE.in_text("0.9.1 at 190f85b^, DMA_WRITE 1509-1547")),
        (13, &message::DEVICE_RESET.in_text("0.9.1 at 190f85b^, DEVICE_RESET 1549-1553")),
        (14, &legacy::DIRTY_PAGES),
    ],
};
