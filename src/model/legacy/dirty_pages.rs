//! What holds for every successful reply to DIRTY_PAGES of 0.9.1 (at 190f85b^, 1634-1665).

use vfio_user_wire::dirty_pages_flags;
use vfio_user_wire::legacy::{DirtyPages, DirtyPagesGet, RangeLayout};

use super::super::judgement::{bytes_mark, header_mark, payload_mark};
use super::super::{Command, Judgements, Reply};
use super::bitmap_sizes;
use crate::verdict::Class;

/// Bytes of the head.
const HEAD: usize = DirtyPages::LAYOUT.size;
/// The three actions.
pub(in crate::model) const ACTIONS: u32 =
    dirty_pages_flags::START | dirty_pages_flags::STOP | dirty_pages_flags::GET_BITMAP;

/// The request, where it is GET_BITMAP and has a range.
pub(in crate::model) fn asked(command: &Command) -> Option<DirtyPagesGet> {
    let (request, _) = DirtyPagesGet::parse(&command.payload)?;
    (request.flags & ACTIONS == dirty_pages_flags::GET_BITMAP).then_some(request)
}

/// Bytes of payload of the full reply in that layout.
pub(in crate::model) fn needed(layout: RangeLayout, bitmap_size: u64) -> u64 {
    ((HEAD + layout.size()) as u64).saturating_add(bitmap_size)
}

/// The layout of a full reply, and where its bits begin.
pub(in crate::model) fn bits(request: &DirtyPagesGet, payload: &[u8]) -> Option<(RangeLayout, usize)> {
    let (head, _) = DirtyPages::parse(payload)?;
    let (argsz, came) = (u64::from(head.argsz), payload.len() as u64);
    let layout = fitting(request, came).filter(|_| argsz == came)?;
    Some((layout, HEAD + layout.size()))
}

/// The layout in which a full reply takes so many bytes.
fn fitting(request: &DirtyPagesGet, bytes: u64) -> Option<RangeLayout> {
    let fits = |layout: &RangeLayout| {
        bitmap_sizes(request.bitmap_size, request.size, request.bitmap_pgsize)
            .any(|size| needed(*layout, size) == bytes)
    };
    [RangeLayout::Narrow, RangeLayout::Wide].into_iter().find(fits)
}

/// Judges the reply; nothing else is to be said of it.
pub(super) fn judge(command: &Command, reply: &Reply<'_>, out: &mut Judgements) -> bool {
    if let Some(request) = asked(command) {
        judge_get(command, &request, reply.payload, out);
    } else if let Some((request, _)) = DirtyPages::parse(&command.payload) {
        let requirement = match request.flags & ACTIONS {
            dirty_pages_flags::START => "L-DP-05",
            dirty_pages_flags::STOP => "L-DP-07",
            _ => return true,
        };
        let actual = || format!("{} bytes", reply.payload.len());
        out.must(requirement, reply.payload.is_empty(), "no payload", actual, header_mark("size"));
    }
    true
}

fn judge_get(command: &Command, request: &DirtyPagesGet, payload: &[u8], out: &mut Judgements) {
    let mark = |name| DirtyPagesGet::LAYOUT.field(name).and_then(payload_mark);
    let Some((head, _)) = DirtyPages::parse(payload) else {
        let (expected, actual) =
            ("the 8 bytes of the structure, at the least", || format!("a payload of {} bytes", payload.len()));
        // Cut to argsz, which may be meant for the most that may come (policy A-01).
        let class = if payload.len() == request.argsz as usize { Class::Note } else { Class::Violation };
        return out.check("L-DP-13", false, class, expected, actual, header_mark("size"));
    };
    let (argsz, flags) = (u64::from(head.argsz), head.flags);
    if needed(RangeLayout::Narrow, request.bitmap_size) > u64::from(u32::MAX) {
        return judge_untold(request, argsz, payload, out);
    }
    if { request.flags } == dirty_pages_flags::GET_BITMAP {
        let right = flags == dirty_pages_flags::GET_BITMAP;
        out.must("L-DP-16", right, "flags 4, GET_BITMAP", || format!("flags {flags:#x}"), mark("flags"));
    }
    for field in ["iova", "size", "bitmap_pgsize", "bitmap_size"] {
        let Some(field) = DirtyPagesGet::LAYOUT.field(field).filter(|_| payload.len() >= DirtyPagesGet::LAYOUT.size)
        else {
            continue;
        };
        let (Some(sent), Some(got)) = (field.read(&command.payload), field.read(payload)) else { continue };
        // What is wrong in a reply that was cut is told by L-DP-15.
        if argsz <= u64::from(request.argsz) {
            let expected = format!("{} {sent:#x}, as in the request", field.name);
            out.must("L-DP-17", sent == got, &expected, || format!("{} {got:#x}", field.name), payload_mark(field));
        }
    }
    if argsz > u64::from(request.argsz) {
        judge_cut(command, request, argsz, payload, out);
    } else {
        judge_whole(command, request, argsz, payload, out);
    }
}

/// No argsz can tell what this bitmap takes: a success says at the most that it is more than there was room for.
fn judge_untold(request: &DirtyPagesGet, argsz: u64, payload: &[u8], out: &mut Judgements) {
    let (room, came) = (u64::from(request.argsz), payload.len() as u64);
    let size = request.bitmap_size;
    let right = argsz > room && came <= room.max((HEAD + RangeLayout::Wide.size()) as u64);
    let expected = format!("an argsz of more than {room}, and no more bytes than that: {size} do not fit");
    out.must("L-DP-28", right, &expected, || format!("argsz {argsz} and {came} bytes"), bytes_mark("argsz", 0, 4));
}

/// The reply says that argsz has no room for it: the head comes, and nothing that means anything.
fn judge_cut(command: &Command, request: &DirtyPagesGet, argsz: u64, payload: &[u8], out: &mut Judgements) {
    let (room, came) = (u64::from(request.argsz), payload.len() as u64);
    let layout = fitting(request, argsz);
    // Below the fixed part both the whole fixed part and an error conform (policy A-01).
    let fixed = (HEAD + layout.unwrap_or(RangeLayout::Wide).size()) as u64;
    let expected = match layout {
        Some(_) => format!("no more than the {room} bytes of argsz, and no bitmap"),
        None => {
            format!("argsz {}, or 8 more: what the full reply takes", needed(RangeLayout::Narrow, request.bitmap_size))
        }
    };
    let actual = || format!("a payload of {came} bytes, argsz {argsz}");
    let right = layout.is_some() && came <= room.max(fixed);
    out.must("L-DP-14", right, &expected, actual, bytes_mark("argsz", 0, 4));
    let sent = |at: usize| command.payload.get(at).copied().filter(|_| (at as u64) < fixed);
    let wrong = (HEAD..payload.len()).find(|at| {
        let got = payload.get(*at).copied().unwrap_or_default();
        got != 0 && sent(*at) != Some(got)
    });
    let expected = "behind the 8 bytes of the structure the range of the request, or zeroes";
    let at = wrong.unwrap_or_default();
    let actual = || format!("{:#04x} at {at}", payload.get(at).copied().unwrap_or_default());
    out.must("L-DP-15", wrong.is_none(), expected, actual, wrong.and_then(|at| bytes_mark("bitmap range", at, 1)));
}

/// The reply says that all of it came.
fn judge_whole(command: &Command, request: &DirtyPagesGet, argsz: u64, payload: &[u8], out: &mut Judgements) {
    let (room, came) = (u64::from(request.argsz), payload.len() as u64);
    let least = needed(
        RangeLayout::Narrow,
        bitmap_sizes(request.bitmap_size, request.size, request.bitmap_pgsize).min().unwrap_or_default(),
    );
    let (by_argsz, by_size) = (fitting(request, argsz), fitting(request, came));
    // Two ranges, in whichever layout.
    let several = command.payload.len() >= HEAD + 2 * RangeLayout::Narrow.size();
    let fixed = |layout: RangeLayout| (HEAD + layout.size()) as u64;
    let requirement = match (by_argsz, by_size) {
        _ if several => "L-DP-12",
        _ if room < least => "L-DP-14",
        (Some(_), Some(_)) => "L-DP-18",
        (_, Some(layout)) if argsz == fixed(layout) || argsz == came - fixed(layout) => "L-DP-31",
        (_, Some(_)) if argsz == room => "L-DP-32",
        (Some(_), None) if came == room => "L-DP-32",
        (None, None) if argsz == room && came == room => "L-DP-32",
        _ => "L-DP-13",
    };
    let (narrow, wide) =
        (needed(RangeLayout::Narrow, request.bitmap_size), needed(RangeLayout::Wide, request.bitmap_size));
    let expected = format!("argsz {narrow} and as many bytes, or {wide} where a range has 40 bytes");
    let actual = || format!("argsz {argsz} and {came} bytes");
    let right = argsz == came && by_size.is_some();
    out.must(requirement, right, &expected, actual, bytes_mark("argsz", 0, 4));
    if right {
        for held in ["L-DP-13", "L-DP-18", "L-DP-31"] {
            out.must(held, true, "", String::new, None);
        }
        if room > came {
            out.must("L-DP-32", true, "", String::new, None);
        }
    }
}
