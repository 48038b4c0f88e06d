//! Which command number means which message.

use crate::field::Message;
use crate::tables::Table;
use crate::{legacy, message, tables};

/// A version of the protocol: the numbers of its commands and the layouts behind them.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The name that `--profile` takes.
    pub name: &'static str,
    /// The tables that its DMA commands carry. Without them a command is about one region.
    pub table: Option<Table>,
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
    table: None,
    commands: &[
        (1, &message::VERSION),
        (2, &message::DMA_MAP),
        (3, &message::DMA_UNMAP),
        (4, &message::DEVICE_GET_INFO),
        (5, &message::DEVICE_GET_REGION_INFO),
        (6, &message::DEVICE_GET_REGION_IO_FDS),
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
    table: None,
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

/// Version 8: `docs/vfio-user.rst` of libvfio-user at commit 595dff9 (December 2020; 291-326), whose title says 0.1. DMA
/// commands carry tables, and numbers from 6 on are others than in every later version.
pub const V8: Dialect = Dialect {
    name: "v8",
    table: Some(Table::V8),
    commands: &[
        (1, &message::VERSION.in_text("version 8 at 595dff9, VFIO_USER_VERSION 392-499")),
        (2, &tables::DMA_MAP_V8),
        (3, &tables::DMA_UNMAP_V8),
        (4, &tables::DEVICE_GET_INFO),
        (5, &message::DEVICE_GET_REGION_INFO.in_text("version 8 at 595dff9, VFIO_USER_DEVICE_GET_REGION_INFO 764-956")),
        (6, &message::DEVICE_GET_IRQ_INFO.in_text("version 8 at 595dff9, VFIO_USER_DEVICE_GET_IRQ_INFO 1130-1199")),
        (7, &message::DEVICE_SET_IRQS.in_text("version 8 at 595dff9, VFIO_USER_DEVICE_SET_IRQS 1201-1301")),
        (8, &message::REGION_READ.in_text("version 8 at 595dff9, VFIO_USER_REGION_READ 1317-1339, 1359-1384")),
        (9, &message::REGION_WRITE.in_text("version 8 at 595dff9, VFIO_USER_REGION_WRITE 1317-1339, 1386-1411")),
        (10, &tables::DMA_READ),
        (11, &tables::DMA_WRITE),
        (12, &tables::VM_INTERRUPT),
        (13, &message::DEVICE_RESET.in_text("version 8 at 595dff9, VFIO_USER_DEVICE_RESET 1504-1524")),
        (14, &tables::DIRTY_PAGES_V8),
    ],
};

/// Version 0.9.1 while DMA commands still carried tables: `docs/vfio-user.rst` of libvfio-user before commit cda5e5f (May
/// 2021; 343-364). Numbers are those of 0.9.1.
pub const V8C: Dialect = Dialect {
    name: "v8c",
    table: Some(Table::V8c),
    commands: &[
        (1, &message::VERSION.in_text("0.9.1 at cda5e5f^, VERSION 434-520")),
        (2, &tables::DMA_MAP_V8C),
        (3, &tables::DMA_UNMAP_V8C),
        (4, &message::DEVICE_GET_INFO.in_text("0.9.1 at cda5e5f^, DEVICE_GET_INFO 683-749")),
        (5, &message::DEVICE_GET_REGION_INFO.in_text("0.9.1 at cda5e5f^, DEVICE_GET_REGION_INFO 751-943")),
        (6, &message::DEVICE_GET_REGION_IO_FDS.in_text("0.9.1 at cda5e5f^, DEVICE_GET_REGION_IO_FDS 945-1107")),
        (7, &message::DEVICE_GET_IRQ_INFO.in_text("0.9.1 at cda5e5f^, DEVICE_GET_IRQ_INFO 1109-1188")),
        (8, &message::DEVICE_SET_IRQS.in_text("0.9.1 at cda5e5f^, DEVICE_SET_IRQS 1190-1306")),
        (9, &message::REGION_READ.in_text("0.9.1 at cda5e5f^, REGION_READ 1308-1355")),
        (10, &message::REGION_WRITE.in_text("0.9.1 at cda5e5f^, REGION_WRITE 1357-1399")),
        (11, &message::DMA_READ.in_text("0.9.1 at cda5e5f^, DMA_READ 1401-1437")),
        (12, &message::DMA_WRITE.in_text("0.9.1 at cda5e5f^, DMA_WRITE 1439-1475")),
        (13, &message::DEVICE_RESET.in_text("0.9.1 at cda5e5f^, DEVICE_RESET 1477-1481")),
        (14, &tables::DIRTY_PAGES_V8C),
    ],
};
