//! The log of what the device writes into client memory (specification 1754-1841).

use nix::errno::Errno;
use vfio_user_wire::feature::DmaLoggingRange;

use crate::dma_table::PAGE;
use crate::range_set::RangeSet;

/// The largest page of the log.
const MAX_PAGE: u64 = 1 << 30;

/// The longest bitmap of one reply, in bytes: 128 GiB in pages of 4 KiB.
pub(crate) const MAX_BITMAP: u64 = 4 << 20;

/// What the device wrote since the client last asked. In 0.9.2 windows come and go meanwhile, and with them nothing of this:
/// a client asks once more after it has unmapped one.
#[derive(Debug, Default)]
pub(crate) struct DirtyLog {
    /// `None` while nothing is logged.
    logging: Option<Logging>,
}

#[derive(Debug)]
struct Logging {
    /// Bytes that one entry stands for, a power of two.
    page_size: u64,
    /// What is to be logged: first and last address. None at all stands for everything (1783-1784).
    ranges: Vec<(u64, u64)>,
    /// Whole pages.
    dirty: RangeSet,
}

impl DirtyLog {
    /// Begins to log writes into `ranges`; the size of the log's pages, as near to `page_size` as it can be (1778-1781).
    ///
    /// # Errors
    /// EBUSY while something is logged: what was written so far is not to be lost. EINVAL for a page that is no power of
    /// two, and for ranges that are empty, wrap past 2^64 or overlap.
    pub(crate) fn start(&mut self, page_size: u64, ranges: &[DmaLoggingRange]) -> Result<u64, Errno> {
        if self.logging.is_some() {
            return Err(Errno::EBUSY);
        }
        if !page_size.is_power_of_two() {
            return Err(Errno::EINVAL);
        }
        let mut ranges = ranges
            .iter()
            .map(|range| bounds(range.iova, range.length))
            .collect::<Option<Vec<(u64, u64)>>>()
            .ok_or(Errno::EINVAL)?;
        ranges.sort_unstable();
        if ranges.windows(2).any(|pair| matches!(pair, [(_, last), (first, _)] if first <= last)) {
            return Err(Errno::EINVAL);
        }
        let page_size = page_size.clamp(PAGE, MAX_PAGE);
        self.logging = Some(Logging { page_size, ranges, dirty: RangeSet::default() });
        Ok(page_size)
    }

    /// Begins to log all writes, in pages of any size that is a power of two.
    ///
    /// # Errors
    /// EBUSY while something is logged.
    pub(crate) fn start_everywhere(&mut self, page_size: u64) -> Result<(), Errno> {
        if self.logging.is_some() {
            return Err(Errno::EBUSY);
        }
        self.logging = Some(Logging { page_size, ranges: Vec::new(), dirty: RangeSet::default() });
        Ok(())
    }

    /// Ends the logging, and forgets what was logged.
    pub(crate) fn stop(&mut self) {
        self.logging = None;
    }

    /// The device writes `count` bytes at `iova`.
    pub(crate) fn written(&mut self, iova: u64, count: u64) {
        let (Some(logging), Some((first, last))) = (&mut self.logging, bounds(iova, count)) else { return };
        let Logging { page_size, ranges, dirty } = logging;
        let mut log = |first: u64, last: u64| dirty.insert(first & !(*page_size - 1), last | (*page_size - 1));
        if ranges.is_empty() {
            log(first, last);
        }
        for range in ranges {
            let (first, last) = (first.max(range.0), last.min(range.1));
            if first <= last {
                log(first, last);
            }
        }
    }

    /// What was written from `first` to `last`, a bit for each page of `page_size` bytes, in `size` bytes. From here on that
    /// counts as clean, and nothing else does.
    ///
    /// # Errors
    /// EINVAL where nothing is logged (1806-1808).
    pub(crate) fn take_bitmap(&mut self, first: u64, last: u64, page_size: u64, size: u64) -> Result<Vec<u8>, Errno> {
        let logging = self.logging.as_mut().ok_or(Errno::EINVAL)?;
        let mut words = vec![0u64; size as usize / 8];
        for (start, end) in logging.dirty.take(first, last) {
            for page in (start - first) / page_size..=(end - first) / page_size {
                if let Some(word) = words.get_mut((page / 64) as usize) {
                    *word |= 1 << (page % 64);
                }
            }
        }
        Ok(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
    }

    /// Something from `first` to `last` was written.
    pub(crate) fn has_any(&self, first: u64, last: u64) -> bool {
        self.logging.as_ref().is_some_and(|logging| logging.dirty.has_any(first, last))
    }

    /// Drops what was written from `first` to `last`.
    pub(crate) fn forget(&mut self, first: u64, last: u64) {
        if let Some(logging) = &mut self.logging {
            logging.dirty.take(first, last);
        }
    }

    /// Something is logged.
    pub(crate) fn is_on(&self) -> bool {
        self.logging.is_some()
    }
}

/// First and last address of a range; `None` where it is empty or wraps past 2^64.
pub(crate) fn bounds(iova: u64, length: u64) -> Option<(u64, u64)> {
    Some((iova, iova.checked_add(length.checked_sub(1)?)?))
}
