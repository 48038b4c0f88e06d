//! MIG_DATA_WRITE (specification 1895-1928).

use nix::errno::Errno;
use vfio_user_wire::message::MigrationData;

use crate::answer::Answer;
use crate::device::Device;

/// Writes to the stream of a device that is being restored; there is none in other states.
pub(crate) fn mig_data_write(device: &mut Device, payload: &[u8]) -> Result<Answer, Errno> {
    let (request, data) = MigrationData::parse(payload).ok_or(Errno::EINVAL)?;
    // Bytes behind the data are surplus payload; too few are data that never came.
    let data = data.get(..request.size as usize).ok_or(Errno::EINVAL)?;
    device.loading()?.write(data);
    Ok(Answer::default())
}
