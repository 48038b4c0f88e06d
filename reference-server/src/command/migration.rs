//! The features MIGRATION and MIG_DEVICE_STATE of DEVICE_FEATURE (specification 1620-1697).

use nix::errno::Errno;
use vfio_user_wire::feature::{MigDeviceState, Migration};
use vfio_user_wire::migration_flags as flags;

use crate::device::Device;
use crate::memory::Memory;
use crate::settings::Settings;
use crate::without::Feature;

/// GET of MIGRATION.
pub(crate) fn migration(settings: Settings) -> Migration {
    let pre_copy = if settings.lacks(Feature::PreCopy) { 0 } else { flags::PRE_COPY };
    Migration { flags: flags::STOP_COPY | pre_copy }
}

/// GET of MIG_DEVICE_STATE.
pub(crate) fn get_state(device: &Device) -> MigDeviceState {
    MigDeviceState { device_state: device.state(), data_fd: 0 }
}

/// SET of MIG_DEVICE_STATE: the device is in the new state when this returns (1654-1656).
pub(crate) fn set_state(device: &mut Device, data: &[u8], memory: &mut dyn Memory) -> Result<(), Errno> {
    let (wanted, _) = MigDeviceState::parse(data).ok_or(Errno::EINVAL)?;
    device.change_state(wanted.device_state, memory)
}
