//! MIG_DATA_READ (specification 1843-1893).

use nix::errno::Errno;
use vfio_user_wire::DEFAULT_MAX_DATA_XFER_SIZE;
use vfio_user_wire::message::MigrationData;

use crate::answer::Answer;
use crate::device::Device;
use crate::memory::Memory;

/// Reads from the stream of a device that is being saved; there is none in other states.
pub(crate) fn mig_data_read(device: &mut Device, payload: &[u8], memory: &mut dyn Memory) -> Result<Answer, Errno> {
    let (request, _) = MigrationData::parse(payload).ok_or(Errno::EINVAL)?;
    let (argsz, size) = (u64::from(request.argsz), u64::from(request.size));
    // A reply with less than was asked for says that there is no more (1890-1891): what does not fit is refused.
    if size > DEFAULT_MAX_DATA_XFER_SIZE || argsz < MigrationData::LAYOUT.size as u64 + size {
        return Err(Errno::EINVAL);
    }
    let mut data = device.saving(memory)?.read(request.size as usize);
    let size = data.len() as u32;
    let mut answer = Answer::payload(MigrationData { argsz: MigrationData::LAYOUT.size as u32 + size, size }.bytes());
    answer.payload.append(&mut data);
    Ok(answer)
}
