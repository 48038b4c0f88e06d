//! What holds for every successful reply to DEVICE_GET_REGION_IO_FDS.

use vfio_user_wire::message::RegionIoFds;
use vfio_user_wire::{Field, IoEventFd, IoRegionFd, SubRegion, io_event_fd_flags, io_fd_type, io_region_fd_flags};

use super::edition::Edition;
use super::judgement::{bytes_mark, payload_mark};
use super::{Command, Judgements, Negotiated, Reply};

const FIXED: u64 = RegionIoFds::LAYOUT.size as u64;
/// An `fd_index` that servers in use give where there is no descriptor.
const NO_FD: u32 = u32::MAX;
const IO_EVENT_FD_FLAGS: u32 =
    io_event_fd_flags::DATAMATCH | io_event_fd_flags::PIO | io_event_fd_flags::VIRTIO_CCW_NOTIFY;

pub(super) fn judge(
    edition: Edition,
    command: &Command,
    reply: &Reply<'_>,
    negotiated: &Negotiated,
    out: &mut Judgements,
) {
    let Some((info, array)) = RegionIoFds::parse(reply.payload) else { return };
    let mark = |name| RegionIoFds::LAYOUT.field(name).and_then(payload_mark);
    let (argsz, flags, index, count) = (info.argsz, info.flags, info.index, info.count);
    let payload = reply.payload.len() as u64;
    let most_fds = negotiated.client_limits().max_msg_fds;

    out.must("IOFDS-04", flags == 0, "flags 0", || format!("flags {flags:#x}"), mark("flags"));
    if let Some(asked) = command.request().get("index") {
        let expected = format!("index {asked}, as in the request");
        out.must("IOFDS-05", u64::from(index) == asked, &expected, || format!("index {index}"), mark("index"));
    }
    let expected = format!("at most {most_fds} file descriptors, the client's max_msg_fds");
    out.must(
        "IOFDS-17",
        reply.fds as u64 <= most_fds,
        &expected,
        || format!("{} file descriptors", reply.fds),
        mark("count"),
    );

    let room = command.request().get("argsz").unwrap_or(FIXED);
    if room < FIXED {
        let expected = "the 16 bytes of the fixed part alone";
        out.must("IOFDS-14", payload == FIXED, expected, || format!("{payload} bytes of payload"), mark("argsz"));
    } else {
        let expected = format!("at most {room} bytes of payload, the request's argsz");
        let actual = || format!("{payload} bytes of payload, argsz {argsz}");
        out.must("IOFDS-13", payload <= room, &expected, actual, mark("argsz"));
        out.must("MSZ-01", payload <= room, &expected, actual, mark("argsz"));
    }
    // Of what did not fit, the entries and descriptors that there are need not be whole.
    if u64::from(argsz) > room.max(FIXED) {
        return;
    }
    // What is behind the bytes that argsz counts is padding.
    let expected = format!("{argsz} bytes of payload, as argsz says");
    out.should("MSZ-03", payload <= u64::from(argsz), &expected, || format!("{payload} bytes"), mark("argsz"));
    let counted = (argsz as usize).saturating_sub(FIXED as usize).min(array.len());
    let array = array.get(..counted).unwrap_or_default();
    let Some(stride) = stride(edition, &info, array, reply.fds, out) else { return };
    let entries: Vec<&[u8]> = entries(array, stride, count).collect();
    descriptors(&entries, stride, reply.fds, most_fds, out);
    for (at, entry) in entries.iter().enumerate() {
        sub_region(entry, at, FIXED as usize + at * stride, out);
    }
}

/// How far the entries of a complete reply are apart; `None` where nobody can say.
fn stride(edition: Edition, info: &RegionIoFds, array: &[u8], fds: usize, out: &mut Judgements) -> Option<usize> {
    let (argsz, count) = (info.argsz, info.count);
    let mark = || RegionIoFds::LAYOUT.field("argsz").and_then(payload_mark);
    let whole = argsz as usize == FIXED as usize + array.len();
    // Taken at its word, 998-999 has 32 bytes before the array, which the table has not (policy A-12); the last text of 0.9.1
    // has 16.
    let literal = argsz.checked_sub(32).filter(|_| edition != Edition::Legacy);
    let literal = literal.filter(|size| count > 0 && size % count == 0).map(|size| size / count);
    let literal = literal.map(|stride| stride as usize).filter(|stride| *stride >= SubRegion::SIZE);
    let points =
        |stride: usize| entries(array, stride, count).all(|entry| fd_index(entry).is_some_and(|fd| points_at(fd, fds)));
    let right = info.stride().ok().filter(|_| whole);
    let by_the_letter =
        literal.filter(|stride| stride.checked_mul(count as usize).is_some_and(|size| size <= array.len()));
    let (stride, literally) = match (right, by_the_letter) {
        (Some(right), Some(letter)) if !points(right) && points(letter) => (Some(letter), true),
        (None, Some(letter)) => (Some(letter), true),
        (right, _) => (right, false),
    };
    let expected =
        format!("argsz 16 and the size of an array of {count} sub-regions of at least 40 bytes, as the payload has it");
    let actual = || format!("argsz {argsz}, count {count}, an array of {} bytes", array.len());
    if literally {
        out.should("IOFDS-03", false, &expected, actual, mark());
    } else {
        out.must("IOFDS-03", stride.is_some(), &expected, actual, mark());
    }
    stride
}

/// The entries of an array that are whole, as many as `count` says at the most.
pub(super) fn entries(array: &[u8], stride: usize, count: u32) -> impl Iterator<Item = &[u8]> {
    array.chunks_exact(stride.max(SubRegion::SIZE)).take(count as usize)
}

/// `fd_index` stands in the same place in every type.
fn fd_index(entry: &[u8]) -> Option<u32> {
    IoEventFd::parse(entry).map(|(event, _)| event.fd_index)
}

fn points_at(fd_index: u32, fds: usize) -> bool {
    fd_index == NO_FD || (fd_index as usize) < fds
}

fn descriptors(entries: &[&[u8]], stride: usize, fds: usize, most: u64, out: &mut Judgements) {
    let mark = RegionIoFds::LAYOUT.field("count").and_then(payload_mark);
    let expected = "at least one file descriptor";
    let named = entries.iter().filter_map(|entry| fd_index(entry)).any(|fd| fd != NO_FD);
    if most > 0 {
        let actual = || format!("none, with {} sub-regions", entries.len());
        if named {
            out.must("IOFDS-06", fds > 0, expected, actual, mark);
        } else {
            // Without a sub-region (policy A-13), or without a descriptor for any, there is none to send.
            out.should("IOFDS-06", fds > 0, expected, actual, mark);
        }
    }
    // Of those beyond the client's limit, none can come.
    if fds == 0 || fds as u64 >= most {
        return;
    }
    for (at, entry) in entries.iter().enumerate() {
        let Some(fd) = fd_index(entry) else { continue };
        let mark = bytes_mark(&format!("sub_regions[{at}].fd_index"), FIXED as usize + at * stride + 16, 4);
        let expected = format!("an fd_index below {fds}, the number of file descriptors that came");
        if fd == NO_FD {
            out.should("IOFDS-07", false, &expected, || "-1".to_owned(), mark);
        } else {
            let actual = || format!("fd_index {fd} of sub-region {at}");
            out.must("IOFDS-07", (fd as usize) < fds, &expected, actual, mark);
        }
    }
}

fn sub_region(entry: &[u8], at: usize, offset: usize, out: &mut Judgements) {
    let mark =
        |field: &Field| bytes_mark(&format!("sub_regions[{at}].{}", field.name), offset + field.offset, field.width);
    let of = |name| IoEventFd::LAYOUT.field(name).and_then(mark);
    let kind = match SubRegion::parse(entry) {
        None => return,
        Some(SubRegion::IoEventFd(event)) => {
            let flags = event.flags;
            let expected = "no flags of an ioeventfd but DATAMATCH, PIO and VIRTIO_CCW_NOTIFY";
            let known = flags & !IO_EVENT_FD_FLAGS == 0;
            out.must("IOFDS-10", known, expected, || format!("flags {flags:#x}"), of("flags"));
            io_fd_type::IOEVENTFD
        }
        Some(SubRegion::IoRegionFd(IoRegionFd { size, flags, .. })) => {
            if size == 0 {
                let posted = flags & io_region_fd_flags::POSTED_WRITES != 0;
                let expected = "KVM_IOREGION_POSTED_WRITES in the flags of an ioregionfd of size 0";
                out.should("IOFDS-11", posted, expected, || format!("flags {flags:#x}"), of("flags"));
            }
            io_fd_type::IOREGIONFD
        }
        Some(SubRegion::Unknown { kind, .. }) => kind,
    };
    let known = matches!(kind, io_fd_type::IOEVENTFD | io_fd_type::IOREGIONFD);
    out.should("IOFDS-08", known, "type 0, an ioeventfd, or 1, an ioregionfd", || format!("type {kind}"), of("kind"));
}
