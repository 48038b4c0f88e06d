//! The messages, one file each.

mod device_feature;
mod device_get_info;
mod device_get_irq_info;
mod device_get_region_info;
mod device_get_region_io_fds;
mod device_reset;
mod device_set_irqs;
mod dma_map;
mod dma_read;
mod dma_unmap;
mod dma_write;
mod mig_data_read;
mod mig_data_write;
mod region_read;
mod region_write;
mod region_write_multi;
mod version;

pub use device_feature::{DEVICE_FEATURE, DeviceFeature};
pub use device_get_info::{DEVICE_GET_INFO, DeviceInfo};
pub use device_get_irq_info::{DEVICE_GET_IRQ_INFO, IrqInfo};
pub use device_get_region_info::{DEVICE_GET_REGION_INFO, RegionInfo};
pub use device_get_region_io_fds::{DEVICE_GET_REGION_IO_FDS, RegionIoFds};
pub use device_reset::DEVICE_RESET;
pub use device_set_irqs::{DEVICE_SET_IRQS, IrqSet};
pub use dma_map::{DMA_MAP, DmaMap};
pub use dma_read::{DMA_READ, DmaAccess};
pub use dma_unmap::{DMA_UNMAP, DmaUnmap};
pub use dma_write::{DMA_WRITE, DmaWriteReply};
pub use mig_data_read::{MIG_DATA_READ, MigrationData};
pub use mig_data_write::MIG_DATA_WRITE;
pub use region_read::{REGION_READ, RegionAccess};
pub use region_write::REGION_WRITE;
pub use region_write_multi::{MultiWrite, REGION_WRITE_MULTI, SingleWrite};
pub use version::{VERSION, Version};
