//! The commands of a client, one file each. A function takes a payload and answers it; what all commands share (before
//! VERSION, No_reply, the shape of an error) is the [server](crate::server)'s.

pub(crate) mod device_feature;
pub(crate) mod device_get_info;
pub(crate) mod device_get_irq_info;
pub(crate) mod device_get_region_info;
pub(crate) mod device_get_region_io_fds;
pub(crate) mod device_set_irqs;
pub(crate) mod dma_logging;
pub(crate) mod dma_map;
pub(crate) mod dma_unmap;
pub(crate) mod mig_data_read;
pub(crate) mod mig_data_write;
pub(crate) mod migration;
pub(crate) mod region_read;
pub(crate) mod region_write;
pub(crate) mod region_write_multi;
pub(crate) mod version;

use nix::errno::Errno;

/// The reply must at least have room for its fixed part (specification 337-338).
pub(crate) fn enough(argsz: u32, fixed: usize) -> Result<(), Errno> {
    if (argsz as usize) < fixed { Err(Errno::EINVAL) } else { Ok(()) }
}
