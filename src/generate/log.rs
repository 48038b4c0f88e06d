//! The log of DMA writes: DMA_LOGGING_START, DMA_LOGGING_STOP and DMA_LOGGING_REPORT.

use crate::case::{Range, Value};

use super::draw::{Answers, Draft, Edge};
use super::message::{Message, hexadecimal};
use super::weights;

/// What every server can have as the page of its log.
const PAGE: u64 = 4096;
/// Ranges of a report are not longer than this, so that their bitmaps stay small.
const LONGEST: u64 = 1 << 28;

/// A request to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Log {
    /// Everything is logged.
    Start,
    /// What is mapped below 4 GiB, and above.
    StartRanges,
    /// Another page than the usual one.
    StartPage,
    /// What is no page.
    StartPageOdd,
    /// Ranges that overlap, wrap, or are empty.
    StartRangesOdd,
    /// More ranges than there are.
    StartCount,
    /// The end.
    Stop,
    /// A map.
    Report,
    /// The first pages of a map.
    ReportPrefix,
    /// The last pages of a map.
    ReportSuffix,
    /// One page.
    ReportOne,
    /// From the lowest map to the highest.
    ReportSpan,
    /// What was unmapped, or never mapped.
    ReportGone,
    /// Pages of another size than the log's.
    ReportPage,
    /// What is no page.
    ReportPageOdd,
    /// No bytes, a part of a page, or over 2^64.
    ReportOdd,
    /// Too little room for the reply.
    ReportRoom,
}

impl Draft<'_> {
    /// A request to the log.
    pub(super) fn log(&mut self) -> Message {
        let log = self.dice.row(weights::LOG).unwrap_or(Log::Report);
        // Without a log there is only one thing that a report can show.
        let log = if self.shadow.logging || self.dice.chance(20) { log } else { Log::Start };
        self.request(log)
    }

    /// What the device has written into a map is asked for.
    pub(super) fn ask_log(&mut self, written: (u64, u64)) {
        let logs = self.offer.dma_logging || self.offer.dirty_pages;
        if !logs || !self.shadow.logging || !self.dice.chance(weights::ASKED) {
            return;
        }
        if !self.offer.dma_logging {
            let message = self.ask_dirty_pages(written);
            return self.send(vec![message], Answers::InOrder);
        }
        let log = self.dice.row(weights::REPORT).unwrap_or(Log::Report);
        let message = self.request(log);
        self.send(vec![message], Answers::InOrder);
    }

    /// The log is begun, so that it has what the device writes next.
    pub(super) fn begin_log(&mut self) {
        let logs = self.offer.dma_logging || self.offer.dirty_pages;
        if !logs || self.shadow.logging || !self.dice.chance(weights::BEGUN) {
            return;
        }
        if self.offer.dma_logging {
            let log = self.dice.one([Log::Start, Log::Start, Log::StartRanges, Log::StartPage]);
            let message = self.request(log);
            self.send(vec![message], Answers::InOrder);
        } else {
            let message = self.begin_dirty_pages();
            self.send(vec![message], Answers::InOrder);
        }
    }

    fn request(&mut self, log: Log) -> Message {
        self.edges.push(Edge::Log(log));
        match log {
            Log::Start => self.start(PAGE),
            Log::StartPage => {
                let page = self.dice.one([1, 512, 0x2000, 0x1_0000, 0x10_0000, 1 << 40]);
                self.start(page)
            }
            Log::StartPageOdd => {
                let page = self.dice.one([0, 3, 12288, u64::MAX]);
                self.start(page)
            }
            Log::StartRanges => {
                let ranges = self.logged();
                self.start(PAGE).with("ranges", Value::Ranges(ranges))
            }
            Log::StartRangesOdd => {
                let (iova, length) = self.mapped();
                let odd = match self.dice.range(0, 3) {
                    0 => vec![range(iova, length), range(iova, length)],
                    1 => vec![range(iova, length), range(iova.saturating_add(length - 1), PAGE)],
                    2 => vec![range(0u64.wrapping_sub(PAGE), 2 * PAGE)],
                    _ => vec![range(iova, 0)],
                };
                self.start(PAGE).with("ranges", Value::Ranges(odd))
            }
            Log::StartCount => {
                let count = self.dice.one([2, 5, 0xffff_ffff]);
                let (iova, length) = self.mapped();
                self.start(PAGE).integer("num_ranges", count).with("ranges", Value::Ranges(vec![range(iova, length)]))
            }
            Log::Stop => {
                self.shadow.logging = false;
                Message::command("stop", "DEVICE_FEATURE").words("flags", "set|dma_logging_stop")
            }
            Log::Report => {
                let (iova, length) = self.mapped();
                report(iova, length, PAGE)
            }
            Log::ReportPrefix => {
                let (iova, length) = self.mapped();
                let part = self.part(length);
                report(iova, part, PAGE)
            }
            Log::ReportSuffix => {
                let (iova, length) = self.mapped();
                let part = self.part(length);
                report(iova.saturating_add(length - part), part, PAGE)
            }
            Log::ReportOne => {
                let (iova, length) = self.mapped();
                let page = self.dice.range(0, (length / PAGE).max(1) - 1);
                report(iova.saturating_add(page * PAGE), PAGE, PAGE)
            }
            Log::ReportSpan => {
                let (iova, length) = self.mapped();
                let maps = self.shadow.maps.iter().map(|map| (map.address, map.end()));
                let near = |at: u64| at.abs_diff(iova) <= LONGEST / 2;
                let near: Vec<(u64, u64)> = maps.filter(|(start, end)| near(*start) && near(*end)).collect();
                let start = near.iter().map(|(start, _)| *start).chain([iova]).min().unwrap_or(iova);
                let end = near.iter().map(|(_, end)| *end).chain([iova.saturating_add(length)]).max();
                report(start, end.unwrap_or(iova) - start, PAGE)
            }
            Log::ReportGone => {
                let gone: Vec<(u64, u64)> = self.shadow.gone.iter().map(|map| (map.address, map.size)).collect();
                let fresh = self.fresh();
                let (iova, length) = self.dice.pick(&gone).unwrap_or(fresh);
                report(iova, length.clamp(PAGE, LONGEST), PAGE)
            }
            Log::ReportPage => {
                let (iova, length) = self.mapped();
                let page = self.dice.one([512, 1024, 0x2000, 0x4000, 0x1_0000]);
                let first = iova & !(page - 1);
                let end = iova.saturating_add(length).saturating_add(page - 1) & !(page - 1);
                report(first, end.saturating_sub(first).max(page), page)
            }
            Log::ReportPageOdd => {
                let (iova, length) = self.mapped();
                let page = self.dice.one([0, 3, 12288, u64::MAX]);
                report(iova, length, page).integer("argsz", 4096)
            }
            Log::ReportOdd => {
                let (iova, _) = self.mapped();
                let (iova, length) =
                    self.dice.one([(iova, 0), (iova, PAGE + PAGE / 2), (u64::MAX - 1, 4), (iova + 1, PAGE)]);
                report(iova, length, PAGE).integer("argsz", 4096)
            }
            Log::ReportRoom => {
                let (iova, length) = self.mapped();
                let room = self.dice.one([0, 8, 31, 32, 39]);
                report(iova, length, PAGE).integer("argsz", room)
            }
        }
    }

    fn start(&mut self, page: u64) -> Message {
        self.shadow.logging = true;
        let page_size = |message: Message| {
            if page > 9999 { message.hex("page_size", page) } else { message.integer("page_size", page) }
        };
        page_size(Message::command("start", "DEVICE_FEATURE").words("flags", "set|dma_logging_start"))
    }

    /// A map that is probably there, as far as a report goes.
    pub(super) fn mapped(&mut self) -> (u64, u64) {
        let maps: Vec<(u64, u64)> = self.shadow.maps.iter().map(|map| (map.address, map.size)).collect();
        let fresh = self.fresh();
        let (iova, length) = self.dice.pick(&maps).unwrap_or(fresh);
        (iova, length.clamp(PAGE, LONGEST))
    }

    /// Some of so many bytes, in whole pages.
    fn part(&mut self, length: u64) -> u64 {
        let pages = (length / PAGE).max(1);
        self.dice.range(1, (pages - 1).max(1)) * PAGE
    }

    /// From the first map to the last, below 4 GiB and above.
    fn logged(&mut self) -> Vec<Range> {
        let around = |low: bool| {
            let side = |start: u64| (start < 1 << 32) == low;
            let maps = self.shadow.maps.iter().filter(|map| side(map.address) && map.end() < u64::MAX);
            let bounds: Vec<(u64, u64)> = maps.map(|map| (map.address, map.end())).collect();
            let start = bounds.iter().map(|(start, _)| *start).min()?;
            let end = bounds.iter().map(|(_, end)| *end).max()?;
            // A map that reaches over 4 GiB belongs to the lower ones alone.
            Some((start, if low { end.min(1 << 32) } else { end }))
        };
        let sides: Vec<(u64, u64)> = [around(true), around(false)].into_iter().flatten().collect();
        let sides = if sides.is_empty() { vec![(0, 1 << 32)] } else { sides };
        sides.into_iter().map(|(start, end)| range(start, end - start)).collect()
    }
}

fn report(iova: u64, length: u64, page: u64) -> Message {
    let message = Message::command("report", "DEVICE_FEATURE").words("flags", "get|dma_logging_report");
    message.hex("iova", iova).hex("length", length).integer("page_size", page)
}

fn range(iova: u64, length: u64) -> Range {
    Range { iova: hexadecimal(iova), length: hexadecimal(length), repeated: None }
}
