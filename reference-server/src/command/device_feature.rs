//! DEVICE_FEATURE (specification 1533-1597): what is asked of which feature.

use nix::errno::Errno;
use vfio_user_wire::message::DeviceFeature;
use vfio_user_wire::{feature_flags as flags, feature_index as index};

use super::dma_logging::{report, start, with_page_size};
use super::enough;
use super::migration::{get_state, migration, set_state};
use crate::answer::Answer;
use crate::device::Device;
use crate::dirty_log::DirtyLog;
use crate::memory::Memory;
use crate::settings::Settings;
use crate::without::Feature;

/// Gets, sets or probes a feature of the device.
pub(crate) fn device_feature(
    settings: Settings,
    device: &mut Device,
    log: &mut DirtyLog,
    payload: &[u8],
    memory: &mut dyn Memory,
) -> Result<Answer, Errno> {
    let (request, data) = DeviceFeature::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, DeviceFeature::LAYOUT.size)?;
    let methods = methods(settings, request.index()).ok_or(Errno::ENOTTY)?;
    let operation = request.operation();
    if operation & !(flags::PROBE | methods) != 0 {
        return Err(Errno::EINVAL);
    }
    match (operation, request.index()) {
        // 1580-1583: all of the methods that are named beside it are there.
        (probe, _) if probe & flags::PROBE != 0 => repeated(&request, payload),
        (flags::GET, index::MIGRATION) => Ok(got(&request, migration(settings).bytes())),
        (flags::GET, index::MIG_DEVICE_STATE) => Ok(got(&request, get_state(device).bytes())),
        (flags::SET, index::MIG_DEVICE_STATE) => {
            let answer = repeated(&request, payload)?;
            set_state(device, data, memory)?;
            Ok(answer)
        }
        (flags::SET, index::DMA_LOGGING_START) => {
            let answer = repeated(&request, payload)?;
            let page_size = start(log, data)?;
            Ok(with_page_size(answer, page_size))
        }
        (flags::SET, index::DMA_LOGGING_STOP) => {
            let answer = repeated(&request, payload)?;
            log.stop();
            Ok(answer)
        }
        (flags::GET, index::DMA_LOGGING_REPORT) => report(log, &request, data),
        // No method, or both of them (1585-1586).
        _ => Err(Errno::EINVAL),
    }
}

/// What can be done with the feature, beside PROBE; `None` where the device does not have it.
fn methods(settings: Settings, feature: u16) -> Option<u32> {
    let (part, methods) = match feature {
        index::MIGRATION => (Feature::Migration, flags::GET),
        index::MIG_DEVICE_STATE => (Feature::Migration, flags::GET | flags::SET),
        index::DMA_LOGGING_START | index::DMA_LOGGING_STOP => (Feature::DmaLogging, flags::SET),
        index::DMA_LOGGING_REPORT => (Feature::DmaLogging, flags::GET),
        _ => return None,
    };
    (!settings.lacks(part)).then_some(methods)
}

/// The reply to SET and PROBE: the request's payload (1595-1596), for which the client must have room (1566).
fn repeated(request: &DeviceFeature, payload: &[u8]) -> Result<Answer, Errno> {
    enough(request.argsz, payload.len())?;
    Ok(Answer::payload(payload))
}

/// The reply to GET: the data, and in `argsz` the size of all of it (1596-1597). Where the client has no room for that, it
/// gets the fixed part, and may ask again (343-347).
fn got(request: &DeviceFeature, data: &[u8]) -> Answer {
    let needed = DeviceFeature::LAYOUT.size + data.len();
    let head = DeviceFeature { argsz: needed as u32, ..*request };
    let data = if enough(request.argsz, needed).is_ok() { data } else { &[] };
    Answer::payload(&[head.bytes(), data].concat())
}
