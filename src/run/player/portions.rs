//! `save` and `restore` in protocols whose migration data goes through a region: portion by portion (0.9.1 at 190f85b^,
//! 1801-1835).

use vfio_user_wire::legacy::MigrationInfo;
use vfio_user_wire::message::{REGION_READ, REGION_WRITE, RegionAccess};

use crate::verdict::Evidence;

use super::expect::Actual;
use super::judge::{Found, Line};
use super::stream::{MOST_BYTES, success};
use super::{Fault, Player, Stop};

/// The clause that the data come to an end; of no other is it the matter when they do not.
const ENDS: &str = "L-MR-19";
/// Each is four messages, of which some 3 KiB are kept: more would take more than the 64 MiB that a server may make us take.
pub(super) const MOST_PORTIONS: usize = 8192;
/// So many portions without data in a row are no progress.
const MOST_EMPTY: usize = 16;

/// What was read: its bytes, and how many came in each portion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Portions {
    pub(super) bytes: Vec<u8>,
    pub(super) lengths: Vec<usize>,
}

impl Player<'_> {
    /// Reads migration data until `pending_bytes` is 0, or at least `most` bytes.
    pub(super) fn save_portions(&mut self, line: Line<'_>, end: usize, most: Option<u64>) -> Result<Portions, Stop> {
        let (mut portions, mut empty) = (Portions::default(), 0);
        while most.is_none_or(|most| (portions.bytes.len() as u64) < most) {
            if self.read_register(line, end, "pending_bytes")? == 0 {
                break;
            }
            if portions.lengths.len() >= MOST_PORTIONS {
                return Err(Stop::Unsure(format!("there are more than {MOST_PORTIONS} portions of migration data")));
            }
            let offset = self.read_register(line, end, "data_offset")?;
            let size = self.read_register(line, end, "data_size")?;
            if (portions.bytes.len() as u64).saturating_add(size) > MOST_BYTES {
                let why = format!("there are more than {} MiB of migration data", MOST_BYTES >> 20);
                return Err(Stop::Unsure(why));
            }
            empty = if size == 0 { empty + 1 } else { 0 };
            if empty == MOST_EMPTY {
                let expected = "migration data, or a pending_bytes of 0".to_owned();
                let actual = format!("{MOST_EMPTY} portions without data");
                if line.requirements.is_empty() {
                    return Err(Stop::Skip(format!("set-up: expected {expected}, but {actual}")));
                }
                if !line.requirements.contains(&ENDS) {
                    return Err(Stop::Unsure(format!("expected {expected}, but {actual}")));
                }
                self.break_line(line, None, &Found::new(expected, actual, Evidence::Received))?;
                break;
            }
            let mut read = 0;
            while read < size {
                let count = (size - read).min(self.largest_piece());
                let data = self.read_region(line, end, offset.wrapping_add(read), count)?;
                portions.bytes.extend_from_slice(&data);
                read += count;
            }
            if size > 0 {
                portions.lengths.push(size as usize);
            }
        }
        Ok(portions)
    }

    /// Writes the portions as they were read (1834-1835). Where a refusal is right, nothing more is written after it.
    pub(super) fn restore_portions(
        &mut self,
        line: Line<'_>,
        end: usize,
        portions: &Portions,
        refusable: bool,
    ) -> Result<(), Stop> {
        let mut rest = portions.bytes.as_slice();
        for length in &portions.lengths {
            let (portion, later) = rest.split_at(rest.len().min(*length));
            rest = later;
            if portion.is_empty() {
                break;
            }
            let offset = self.read_register(line, end, "data_offset")?;
            let mut at = offset;
            for piece in portion.chunks(self.largest_piece() as usize) {
                if self.write_region(line, end, at, piece, refusable)? {
                    return Ok(());
                }
                at = at.wrapping_add(piece.len() as u64);
            }
            // Whoever took the data in as they came may have no use for their size.
            let size = portion.len() as u64;
            self.write_region(line, end, self.register("data_size")?.0, &size.to_ne_bytes(), true)?;
        }
        Ok(())
    }

    /// Where a register is, and its width.
    fn register(&self, name: &str) -> Result<(u64, u64), Fault> {
        let field = MigrationInfo::LAYOUT.field(name).ok_or_else(|| Fault::new(format!("no register {name}")))?;
        Ok((field.offset as u64, field.width as u64))
    }

    fn read_register(&mut self, line: Line<'_>, end: usize, name: &str) -> Result<u64, Stop> {
        let (offset, width) = self.register(name)?;
        let data = self.read_region(line, end, offset, width)?;
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(data).for_each(|(to, from)| *to = from);
        Ok(u64::from_ne_bytes(bytes))
    }

    /// A read that must succeed; its bytes.
    fn read_region(&mut self, line: Line<'_>, end: usize, offset: u64, count: u64) -> Result<Vec<u8>, Stop> {
        let region = self.migration_region()?;
        let access = RegionAccess { offset, region, count: count as u32 };
        let (index, frame) = self.transfer(line, end, REGION_READ.name, access.bytes().to_vec())?;
        self.pass_on(end, &frame.bytes())?;
        self.expect_one(line, index, &success())?;
        let answer = self.talk.sent.get_mut(index).and_then(|sent| sent.answer.as_mut());
        // The transcript has what is shown of it; here it would only take memory.
        let payload = answer.map(|answer| std::mem::take(&mut answer.payload)).unwrap_or_default();
        let data = payload.get(RegionAccess::LAYOUT.size..).unwrap_or_default();
        if data.len() as u64 != count {
            let why = format!("{} bytes came of {count} that were asked for", data.len());
            return Err(Stop::Unsure(why));
        }
        Ok(data.to_vec())
    }

    /// A write; whether it was refused, where that is right.
    fn write_region(
        &mut self,
        line: Line<'_>,
        end: usize,
        offset: u64,
        data: &[u8],
        refusable: bool,
    ) -> Result<bool, Stop> {
        let region = self.migration_region()?;
        let access = RegionAccess { offset, region, count: data.len() as u32 };
        let payload = [access.bytes(), data].concat();
        let (index, frame) = self.transfer(line, end, REGION_WRITE.name, payload)?;
        self.pass_on(end, &frame.bytes())?;
        self.wait_for(index)?;
        if refusable && matches!(self.actual(index), Actual::Error(_)) {
            return Ok(true);
        }
        self.expect_one(line, index, &success())?;
        if let Some(sent) = self.talk.sent.get_mut(index) {
            sent.command.payload.truncate(RegionAccess::LAYOUT.size);
        }
        Ok(false)
    }

    fn migration_region(&self) -> Result<u32, Fault> {
        let index = self.environment.integers.get("migration.region").and_then(|index| u32::try_from(*index).ok());
        index.ok_or_else(|| Fault::new("migration data without a region for it"))
    }
}
