//! A device's migration data on their way: what was read of them, how much of that was written back, and what scratch bytes
//! the device has once all of it was.

use super::scratch::Scratch;

/// Longer streams are not followed.
const MOST: usize = 1 << 20;
/// What a device that got back all that it gave owes.
const REQUIREMENT: &str = "MIGDATA-14";

/// A device's migration data on their way.
#[derive(Debug, Clone, Default)]
pub(super) struct Carried {
    stage: Stage,
    /// The last stream that was read to its end.
    saved: Option<Saved>,
}

#[derive(Debug, Clone, Default)]
enum Stage {
    /// Nothing is followed.
    #[default]
    Idle,
    /// In STOP_COPY, or from PRE_COPY on, everything was read so far.
    Reading(Saved),
    /// In RESUMING so many bytes of the saved stream were written, and nothing else.
    Writing(usize),
}

#[derive(Debug, Clone)]
struct Saved {
    bytes: Vec<u8>,
    /// The bytes that the device stopped with.
    scratch: Scratch,
}

impl Carried {
    /// A session has begun: STOP_COPY or PRE_COPY was entered.
    pub(super) fn saves(&mut self, scratch: &Scratch) {
        self.stage = Stage::Reading(Saved { bytes: Vec::new(), scratch: scratch.clone() });
    }

    /// The device of a session that began in PRE_COPY has stopped.
    pub(super) fn stops(&mut self, now: &Scratch) {
        if let Stage::Reading(Saved { scratch, .. }) = &mut self.stage {
            scratch.clone_from(now);
        }
    }

    /// A read got this; it was the last where it got less than it asked for.
    pub(super) fn was_read(&mut self, data: &[u8], last: bool) {
        let Stage::Reading(saved) = &mut self.stage else { return };
        if saved.bytes.len() + data.len() > MOST {
            return self.leave();
        }
        saved.bytes.extend_from_slice(data);
        if last && let Stage::Reading(saved) = std::mem::take(&mut self.stage) {
            self.saved = Some(saved).filter(|saved| !saved.bytes.is_empty());
        }
    }

    /// RESUMING was entered.
    pub(super) fn loads(&mut self) {
        self.stage = if self.saved.is_some() { Stage::Writing(0) } else { Stage::Idle };
    }

    /// A write of this was taken.
    pub(super) fn was_written(&mut self, data: &[u8]) {
        let (Stage::Writing(at), Some(saved)) = (&mut self.stage, &self.saved) else { return };
        if saved.bytes.get(*at..).is_some_and(|rest| rest.starts_with(data)) {
            *at += data.len();
        } else {
            self.leave();
        }
    }

    /// All that was read is written.
    pub(super) fn is_whole(&self) -> bool {
        let saved = self.saved.as_ref().map(|saved| saved.bytes.len());
        matches!(&self.stage, Stage::Writing(at) if saved == Some(*at))
    }

    /// The device took it all: what its scratch bytes are now.
    pub(super) fn is_loaded(&mut self) -> Option<Scratch> {
        let whole = self.is_whole();
        self.leave();
        Some(self.saved.as_ref().filter(|_| whole)?.scratch.clone().owed(REQUIREMENT))
    }

    /// What is read or written now is not followed to its end.
    pub(super) fn leave(&mut self) {
        self.stage = Stage::Idle;
    }

    /// Nothing is known of it any more.
    pub(super) fn forget(&mut self) {
        *self = Carried::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Carried {
        let mut scratch = Scratch::default();
        scratch.written("RWRITE-02", 0, 8, &[7]);
        let mut carried = Carried::default();
        carried.saves(&scratch);
        carried.was_read(b"abc", false);
        carried.was_read(b"d", true);
        carried
    }

    #[test]
    fn what_was_saved_comes_back_by_any_pieces() {
        let mut carried = saved();
        carried.loads();
        carried.was_written(b"ab");
        assert!(!carried.is_whole());
        carried.was_written(b"cd");
        assert!(carried.is_whole());
        let scratch = carried.is_loaded().unwrap();
        assert_eq!(scratch.differs(0, 8, &[6]).unwrap().requirement, "MIGDATA-14");
        carried.loads();
        assert!(!carried.is_whole(), "each session begins anew");
    }

    #[test]
    fn another_stream_says_nothing() {
        for pieces in [&[b"abcd".as_slice(), b"e"] as &[&[u8]], &[b"abd"], &[b"x", b"abcd"]] {
            let mut carried = saved();
            carried.loads();
            pieces.iter().for_each(|piece| carried.was_written(piece));
            assert!(!carried.is_whole(), "{pieces:?}");
            assert!(carried.is_loaded().is_none());
        }
    }

    #[test]
    fn a_stream_without_its_end_is_not_kept() {
        let mut carried = Carried::default();
        carried.saves(&Scratch::default());
        carried.was_read(b"abc", false);
        carried.loads();
        carried.was_written(b"abc");
        assert!(!carried.is_whole());
    }

    #[test]
    fn a_stream_of_a_mebibyte_is_followed_and_no_longer_one() {
        let followed = |first: usize| {
            let mut carried = Carried::default();
            carried.saves(&Scratch::default());
            carried.was_read(&vec![0; first], false);
            carried.was_read(&[0], true);
            carried.loads();
            carried.was_written(&vec![0; first + 1]);
            carried.is_whole()
        };
        assert!(followed(MOST - 1) && !followed(MOST));
    }
}
