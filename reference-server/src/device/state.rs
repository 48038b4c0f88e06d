//! The device's state as a stream of bytes, for MIG_DATA_READ and MIG_DATA_WRITE: `docs/conformance-device.md` has its
//! form.

use nix::errno::Errno;
use vfio_user_wire::layout;

use super::image::Image;

layout! {
    /// How a stream begins.
    pub struct Head: 16 {
        /// Whose state it is.
        magic: u64 @ 0,
        /// The form of what follows.
        version: u32 @ 8,
        /// 0.
        reserved: u32 @ 12,
    }
}

layout! {
    /// Bytes of a block, which follow; later ones take the place of earlier ones.
    pub struct Record: 12 {
        /// The number of the block, or [`END`].
        block: u32 @ 0,
        /// Where in the block.
        offset: u32 @ 4,
        /// How many bytes follow.
        length: u32 @ 8,
    }
}

layout! {
    /// What follows the record [`END`], and is the last of the stream.
    pub struct End: 16 {
        /// Bytes of the stream before this record.
        length: u64 @ 0,
        /// The checksum of those.
        checksum: u64 @ 8,
    }
}

/// "VUCSTATE" in memory.
const MAGIC: u64 = u64::from_ne_bytes(*b"VUCSTATE");
/// The only form so far.
const FORM: u32 = 1;
/// The block of the last record.
const END: u32 = u32::MAX;
/// The most bytes of one record. Blocks are compared in pieces of this size.
const PIECE: usize = 64;
/// Bytes that are compared at once, before their pieces are.
const PAGE: usize = 4096;

/// FNV-1a: no two streams of one length that differ in one byte have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checksum(u64);

impl Checksum {
    fn new() -> Checksum {
        Checksum(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

/// The state on its way out. What the device changes meanwhile is sent again.
#[derive(Debug)]
pub(crate) struct Save {
    /// What the other side makes of all that is in the stream so far.
    sent: Image,
    ready: Vec<u8>,
    /// Bytes of `ready` that were read.
    read: usize,
    length: u64,
    checksum: Checksum,
}

impl Save {
    /// A stream of which nothing is read yet.
    pub(crate) fn new() -> Save {
        let (ready, checksum) = (Vec::new(), Checksum::new());
        let mut save = Save { sent: Image::blank(), ready, read: 0, length: 0, checksum };
        save.push(Head { magic: MAGIC, version: FORM, reserved: 0 }.bytes());
        save
    }

    /// Puts in all that `image` has and the other side has not.
    pub(crate) fn add(&mut self, image: Image) {
        let sent = std::mem::take(&mut self.sent);
        for (block, (before, now)) in (0..).zip(sent.blocks().iter().zip(image.blocks())) {
            // Most of a device is what it was.
            let pages = before.chunks(PAGE).zip(now.chunks(PAGE)).enumerate();
            for (page, (before, now)) in pages.filter(|(_, (before, now))| before != now) {
                for (piece, (before, now)) in before.chunks(PIECE).zip(now.chunks(PIECE)).enumerate() {
                    if before != now {
                        self.record(block, page * PAGE + piece * PIECE, now);
                    }
                }
            }
        }
        self.sent = image;
    }

    /// Puts in the end: nothing comes behind it.
    pub(crate) fn end(&mut self) {
        let end = End { length: self.length, checksum: self.checksum.0 };
        self.record(END, 0, end.bytes());
    }

    /// The next bytes of the stream, `most` at the most; fewer where no more are there.
    pub(crate) fn read(&mut self, most: usize) -> Vec<u8> {
        let rest = self.ready.get(self.read..).unwrap_or_default();
        let bytes = rest.get(..most).unwrap_or(rest).to_vec();
        self.read += bytes.len();
        if self.is_read() {
            self.ready.clear();
            self.read = 0;
        }
        bytes
    }

    /// Bytes that were put in and not read.
    pub(crate) fn left(&self) -> usize {
        self.ready.len() - self.read
    }

    /// All that was put in is read.
    pub(crate) fn is_read(&self) -> bool {
        self.read == self.ready.len()
    }

    fn record(&mut self, block: u32, offset: usize, bytes: &[u8]) {
        let record = Record { block, offset: offset as u32, length: bytes.len() as u32 };
        self.push(record.bytes());
        self.push(bytes);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.ready.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        self.checksum.add(bytes);
    }
}

/// The state on its way in. It takes no more memory than a device has, however long the stream is.
#[derive(Debug)]
pub(crate) struct Load {
    image: Image,
    /// What came of the head or the record that is not whole yet.
    partial: Vec<u8>,
    length: u64,
    checksum: Checksum,
    part: Part,
}

/// What comes next in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Record,
    /// Nothing: it was whole.
    Nothing,
    /// It makes no sense.
    Broken,
}

impl Load {
    /// One of which nothing came yet.
    pub(crate) fn new() -> Load {
        let (image, checksum) = (Image::blank(), Checksum::new());
        Load { image, partial: Vec::new(), length: 0, checksum, part: Part::Head }
    }

    /// Takes the next bytes. Whether they make sense is told at the end.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.part == Part::Broken {
                self.partial.clear();
                return;
            }
            self.partial.push(*byte);
            if let Some(next) = self.take() {
                self.length += self.partial.len() as u64;
                self.checksum.add(&self.partial);
                self.partial.clear();
                self.part = next;
            }
        }
    }

    /// Nothing came.
    pub(crate) fn is_blank(&self) -> bool {
        self.length == 0 && self.partial.is_empty() && self.part == Part::Head
    }

    /// The state, where the stream was whole.
    ///
    /// # Errors
    /// EINVAL where something lacks, is too much, or is not what was saved.
    pub(crate) fn finish(self) -> Result<Image, Errno> {
        if self.part == Part::Nothing { Ok(self.image) } else { Err(Errno::EINVAL) }
    }

    /// Takes up the head or the record, where it is whole; what comes after it.
    fn take(&mut self) -> Option<Part> {
        match self.part {
            Part::Head => {
                let (head, _) = Head::parse(&self.partial)?;
                let known = head.magic == MAGIC && head.version == FORM && head.reserved == 0;
                Some(if known { Part::Record } else { Part::Broken })
            }
            Part::Record => {
                let (record, bytes) = Record::parse(&self.partial)?;
                if record.length as usize > PIECE {
                    return Some(Part::Broken);
                }
                if bytes.len() < record.length as usize {
                    return None;
                }
                if record.block == END {
                    let (length, checksum) = (self.length, self.checksum.0);
                    let whole = record.offset == 0 && bytes == End { length, checksum }.bytes();
                    return Some(if whole { Part::Nothing } else { Part::Broken });
                }
                let put = self.image.put(record.block as usize, record.offset as usize, bytes);
                Some(if put.is_some() { Part::Record } else { Part::Broken })
            }
            Part::Nothing | Part::Broken => Some(Part::Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(seed: u8) -> Image {
        let mut image = Image::blank();
        image.put(1, 0, &[seed; 200]).expect("a place");
        image.put(6, (2 << 20) - 3, &[seed, 0, seed]).expect("a place");
        image
    }

    fn stream(save: &mut Save) -> Vec<u8> {
        save.read(usize::MAX)
    }

    fn saved() -> Vec<u8> {
        let mut save = Save::new();
        save.add(image(7));
        save.end();
        stream(&mut save)
    }

    fn load(bytes: &[u8]) -> Result<Image, Errno> {
        let mut load = Load::new();
        load.write(bytes);
        load.finish()
    }

    #[test]
    fn what_is_saved_is_loaded_however_it_is_cut() {
        let bytes = saved();
        assert_eq!(load(&bytes), Ok(image(7)));
        for chunk in [1, 7, 4096] {
            let (mut save, mut load) = (Save::new(), Load::new());
            save.add(image(7));
            save.end();
            let mut pieces = Vec::new();
            while !save.is_read() {
                pieces.push(save.read(chunk));
            }
            assert_eq!(pieces.concat(), bytes);
            pieces.iter().for_each(|piece| load.write(piece));
            assert_eq!(load.finish(), Ok(image(7)));
        }
    }

    #[test]
    fn what_changes_is_sent_again_even_where_it_becomes_zero() {
        let mut save = Save::new();
        save.add(image(7));
        let mut bytes = stream(&mut save);
        save.add(image(7));
        assert!(save.is_read(), "nothing has changed");
        save.add(Image::blank());
        save.end();
        bytes.extend(stream(&mut save));
        assert_eq!(load(&bytes), Ok(Image::blank()));
    }

    #[test]
    fn a_stream_that_is_not_whole_is_refused() {
        let bytes = saved();
        for length in 0..bytes.len() {
            assert_eq!(load(&bytes[..length]), Err(Errno::EINVAL), "the first {length} bytes");
        }
        assert_eq!(load(&[&bytes[..], &[0]].concat()), Err(Errno::EINVAL), "one byte more");
        assert_eq!(load(&[&bytes[..], &bytes[..]].concat()), Err(Errno::EINVAL), "twice");
    }

    #[test]
    fn any_byte_that_was_changed_is_seen() {
        let bytes = saved();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert_eq!(load(&changed), Err(Errno::EINVAL), "byte {at}");
        }
    }
}
