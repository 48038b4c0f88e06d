//! What the device's log of its DMA writes should hold.

use vfio_user_wire::legacy::RangeLayout;

use super::spans::{Span, Spans, common, rounded, span, without};
use crate::verdict::Class;

/// Whether the device logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logging {
    /// Nobody has ever asked for it.
    Never,
    /// It was asked for and refused.
    Refused,
    /// It was stopped.
    Stopped,
    /// It may, or nobody can say what it logs.
    Perhaps,
    /// It does.
    Surely,
}

/// What breaks if a page that was written is reported as clean.
pub(super) type Loss = (&'static str, Class);

/// Bytes that the device surely wrote and logged, and that no reply has told yet.
#[derive(Debug, Clone, Copy)]
struct Dirty {
    span: Span,
    /// What happened since that a server could lose them by.
    loss: Option<Loss>,
}

/// A write of the device's that may not be over.
#[derive(Debug, Clone)]
struct Write {
    span: Span,
    /// It began before the logging did.
    early: bool,
    /// What of it came by message.
    messages: Spans,
}

/// What the device's log should hold.
#[derive(Debug, Clone)]
pub(super) struct DirtyLog {
    pub(super) logging: Logging,
    /// Bytes that an entry of the log stands for; `None` where the server did not say.
    pub(super) page_size: Option<u64>,
    /// A reply has told something of it since it began.
    pub(super) asked: bool,
    /// The layout of the last reply to DIRTY_PAGES that told of it.
    pub(super) layout: Option<RangeLayout>,
    /// What it logs; nothing stands for everything.
    ranges: Vec<Span>,
    surely: Vec<Dirty>,
    /// What may be in the log.
    perhaps: Spans,
    /// What a reply has told already.
    told: Spans,
    /// What was written before the logging began.
    before: Spans,
    /// What the device has read.
    read: Spans,
    /// Memory that the device may write at any time.
    used: Spans,
    /// Writes that may not be over.
    writes: Vec<Write>,
}

impl Default for DirtyLog {
    fn default() -> DirtyLog {
        DirtyLog {
            logging: Logging::Never,
            page_size: None,
            asked: false,
            layout: None,
            ranges: Vec::new(),
            surely: Vec::new(),
            perhaps: Spans::default(),
            told: Spans::default(),
            before: Spans::default(),
            read: Spans::default(),
            used: Spans::default(),
            writes: Vec::new(),
        }
    }
}

/// What a page that is reported, and should not be, may be explained by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surplus {
    /// It was told before.
    Told,
    /// It was written before the logging began.
    Before,
    /// The device has read it.
    Read,
    /// Nothing.
    Nothing,
}

impl DirtyLog {
    /// Logging was off, and has begun.
    pub(super) fn started(&mut self, page_size: Option<u64>, ranges: &[(u64, u64)]) {
        self.forget();
        self.writes.iter_mut().for_each(|write| write.early = true);
        self.logging = Logging::Surely;
        self.asked = false;
        self.page_size = page_size;
        self.ranges = ranges.iter().map(|(iova, length)| span(*iova, *length)).collect();
    }

    /// Logging may have begun, or begun anew.
    pub(super) fn doubt(&mut self) {
        self.page_size = None;
        self.logging = Logging::Perhaps;
        self.surely.clear();
    }

    /// Logging has ended.
    pub(super) fn stopped(&mut self) {
        self.forget();
        self.logging = Logging::Stopped;
    }

    fn forget(&mut self) {
        let (perhaps, told) = (std::mem::take(&mut self.perhaps), std::mem::take(&mut self.told));
        self.before.extend(&perhaps);
        self.before.extend(&told);
        self.surely.clear();
    }

    /// The device is made to write.
    pub(super) fn writes(&mut self, span: Span) {
        self.writes.push(Write { span, early: false, messages: Spans::default() });
        self.may_hold(span);
    }

    /// The device is made to read.
    pub(super) fn reads(&mut self, span: Span) {
        self.read.add(span);
    }

    /// The device may write this memory whenever it does something.
    pub(super) fn uses(&mut self, span: Span) {
        self.used.add(span);
    }

    /// The device writes by message.
    pub(super) fn message(&mut self, span: Span) {
        self.may_hold(span);
        for write in &mut self.writes {
            write.messages.add(span);
        }
    }

    fn may_hold(&mut self, span: Span) {
        if matches!(self.logging, Logging::Surely | Logging::Perhaps) {
            self.perhaps.add(span);
        } else {
            self.before.add(span);
        }
    }

    /// The device says that its work is done, or failed: all that it wrote is written. Of several writes nobody knows which
    /// one it speaks of. What lies in `reached` it wrote without a message.
    pub(super) fn finished(&mut self, done: bool, reached: &[Span]) {
        let logged = |span: Span| -> Vec<Span> {
            if self.ranges.is_empty() {
                return vec![span];
            }
            self.ranges.iter().filter_map(|range| common(span, *range)).collect()
        };
        let writes = std::mem::take(&mut self.writes);
        if let ([write], true, Logging::Surely) = (writes.as_slice(), done, self.logging)
            && !write.early
        {
            let direct = reached.iter().filter_map(|reached| common(write.span, *reached)).flat_map(logged);
            let surely = direct.filter(|part| write.messages.clone().take(*part).is_empty());
            let surely: Vec<Dirty> = surely.map(|span| Dirty { span, loss: None }).collect();
            self.surely.extend(surely);
        }
        writes.into_iter().for_each(|write| self.may_hold(write.span));
    }

    /// Something happened by which a server could lose what it has logged in `span`. Where it is excused already, it
    /// stays so.
    pub(super) fn endanger(&mut self, span: Span, loss: Loss) {
        let mut endangered = Vec::new();
        for dirty in &self.surely {
            let excused = dirty.loss.is_some_and(|(_, class)| class == Class::Note);
            match common(dirty.span, span).filter(|_| !excused) {
                None => endangered.push(*dirty),
                Some(part) => {
                    endangered.extend(without(dirty.span, part).map(|span| Dirty { span, ..*dirty }));
                    endangered.push(Dirty { span: part, loss: Some(loss) });
                }
            }
        }
        self.surely = endangered;
    }

    /// The same for all but `span`.
    pub(super) fn endanger_others(&mut self, (start, end): Span, loss: Loss) {
        self.endanger((0, start), loss);
        self.endanger((end, u128::MAX), loss);
    }

    /// A reply has told what was written in `span`. Where that is not made of the log's pages, nobody knows what of the
    /// pages at its ends is left.
    pub(super) fn told(&mut self, span: Span) {
        self.asked = true;
        let page = self.page_size.unwrap_or(1 << 40);
        let whole = rounded(span, page) == span;
        self.lose(rounded(span, page));
        let told = if whole { self.perhaps.take(span) } else { self.perhaps.clone() };
        self.told.extend(&told);
        let writes: Vec<Span> = self.writes.iter().map(|write| write.span).collect();
        writes.into_iter().for_each(|span| self.may_hold(span));
    }

    /// Nobody knows any more whether what was written in `span` is in the log.
    pub(super) fn lose(&mut self, span: Span) {
        let left = self.surely.iter().flat_map(|dirty| without(dirty.span, span).map(|span| Dirty { span, ..*dirty }));
        self.surely = left.collect();
    }

    /// All of a span is logged.
    pub(super) fn covers(&self, span: Span) -> bool {
        self.ranges.is_empty() || self.ranges.iter().any(|range| common(*range, span) == Some(span))
    }

    /// What was surely written in a span, with what it breaks to lose it.
    pub(super) fn surely(&self, span: Span) -> impl Iterator<Item = (Span, Option<Loss>)> + '_ {
        self.surely.iter().filter_map(move |dirty| common(dirty.span, span).map(|part| (part, dirty.loss)))
    }

    /// Why a page may be reported; `None` where it may, since something in its reach may have been written.
    pub(super) fn surplus(&self, page: Span) -> Option<Surplus> {
        let unit = self.page_size.unwrap_or(1);
        if self.perhaps.meets(page, unit) || self.used.meets(page, unit) {
            return None;
        }
        Some(if self.told.meets(page, unit) {
            Surplus::Told
        } else if self.before.meets(page, unit) {
            Surplus::Before
        } else if self.read.meets(page, unit) {
            Surplus::Read
        } else {
            Surplus::Nothing
        })
    }
}
