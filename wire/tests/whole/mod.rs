//! Version 0.9.2 with all its commands (specification 365-392), those that `V0_9_2` does not have yet among them.

use vfio_user_wire::{Dialect, message};

pub(crate) const WHOLE: Dialect = Dialect {
    name: "0.9.2 as a whole",
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
