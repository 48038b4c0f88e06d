//! The features DMA_LOGGING_START and DMA_LOGGING_REPORT of DEVICE_FEATURE (specification 1754-1841).

use nix::errno::Errno;
use vfio_user_wire::feature::{DmaLoggingReport, DmaLoggingStart};
use vfio_user_wire::message::DeviceFeature;

use super::enough;
use crate::answer::Answer;
use crate::dirty_log::{DirtyLog, MAX_BITMAP, bounds};

/// SET of DMA_LOGGING_START: the size of the log's pages.
pub(crate) fn start(log: &mut DirtyLog, data: &[u8]) -> Result<u64, Errno> {
    let (start, tail) = DmaLoggingStart::parse(data).ok_or(Errno::EINVAL)?;
    let (ranges, _) = start.ranges(tail);
    if ranges.len() as u64 != u64::from(start.num_ranges) {
        return Err(Errno::EINVAL);
    }
    log.start(start.page_size, ranges)
}

/// The reply to it is the request but for the size of the page (1800-1801).
pub(crate) fn with_page_size(mut answer: Answer, page_size: u64) -> Answer {
    if let (Some(field), Some(data)) =
        (DmaLoggingStart::LAYOUT.field("page_size"), answer.payload.get_mut(DeviceFeature::LAYOUT.size..))
    {
        field.write(data, page_size);
    }
    answer
}

/// GET of DMA_LOGGING_REPORT.
pub(crate) fn report(log: &mut DirtyLog, request: &DeviceFeature, data: &[u8]) -> Result<Answer, Errno> {
    let (report, _) = DmaLoggingReport::parse(data).ok_or(Errno::EINVAL)?;
    let DmaLoggingReport { iova, length, page_size } = report;
    let (first, last) = bounds(iova, length).ok_or(Errno::EINVAL)?;
    if !log.is_on() || !page_size.is_power_of_two() {
        return Err(Errno::EINVAL);
    }
    // 315: before anything is allocated for it.
    let bitmap = report.bitmap_size().filter(|size| *size <= MAX_BITMAP).ok_or(Errno::E2BIG)?;
    let needed = DeviceFeature::LAYOUT.size + DmaLoggingReport::LAYOUT.size + bitmap as usize;
    let head = DeviceFeature { argsz: needed as u32, ..*request };
    if enough(request.argsz, needed).is_err() {
        // 343-347: the client asks again with enough room; until then nothing counts as told.
        return Ok(Answer::payload(head.bytes()));
    }
    let bitmap = log.take_bitmap(first, last, page_size, bitmap)?;
    Ok(Answer::payload(&[head.bytes(), report.bytes(), &bitmap].concat()))
}
