//! DMA_READ and DMA_WRITE issued by the server.

use std::os::fd::OwnedFd;

use nix::sys::uio::{pread, pwrite};
use vfio_user_reference_server::{Access, Effect, Errno, Machine, Memory};
use vfio_user_wire::{ERROR, Frame, HEADER_SIZE};

use crate::dma::{PAGE, Window, has_command, memfd, reaches_also, with_windows};
use crate::fault::{Fault, fault};
use crate::wrapper::{
    Faulty, Step, Twist, around, capabilities, commands, get, hang, is, memory, own_commands, put, set_capabilities,
};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] =
    &[("DMARW-10", "it permits something, and no remark is ever made of a permission")];

/// Why what is broken in a DMA command breaks DMAP-09 and DMARW-02 alike.
const SAYS_THE_SAME: &str = "which says the same of what the device reaches";

pub(crate) fn faults() -> Vec<Fault> {
    [form(), ranges(), limits(), mapped(), rights(), replies(), ids()].into_iter().flatten().collect()
}

fn form() -> Vec<Fault> {
    vec![
        // The count of the reply's table.
        fault("DMARW-01", "a-count-of-4-bytes", || {
            own_commands(|command| {
                command.payload.drain(12..16);
                command.header.size -= 4;
            })
        })
        .also("DMAP-09", "the count takes in bytes of what follows, or the next message's")
        .also("DMARW-02", "the count takes in bytes of what follows, or the next message's")
        .also("DMARW-03", "the count takes in bytes of what follows, or the next message's")
        .also("MSZ-06", "the count takes in bytes of what follows, or the next message's"),
        fault("DMARW-01", "room-for-the-data-of-a-read", || {
            own_commands(|command| {
                if is(command, "DMA_READ") {
                    let count = get(command, "count") as usize;
                    command.payload.resize(16 + count, 0);
                    command.header.size = (HEADER_SIZE + command.payload.len()) as u32;
                }
            })
        }),
        fault("DMARW-01", "data-padded-to-64-bytes", || {
            own_commands(|command| {
                if is(command, "DMA_WRITE") {
                    let size = (command.payload.len() - 16).next_multiple_of(64);
                    command.payload.resize(16 + size, 0);
                    command.header.size = (HEADER_SIZE + command.payload.len()) as u32;
                }
            })
        }),
    ]
}

fn ranges() -> Vec<Fault> {
    vec![
        fault("DMARW-02", "unmapped-and-still-reached", || {
            reaches_also(|doorbell, windows| {
                let none = windows.holding(doorbell.iova).is_none();
                windows.gone.iter().rev().find(|gone| none && gone.holds(doorbell.iova)).cloned()
            })
        })
        .also("DMAP-09", SAYS_THE_SAME),
        // What was looked up last is found first, whatever became of it.
        fault("DMARW-02", "the-window-used-last-is-remembered", || {
            let mut used: Option<Window> = None;
            reaches_also(move |doorbell, windows| {
                if let Some(window) = windows.holding(doorbell.iova) {
                    used = Some(window.clone());
                    return None;
                }
                used.clone().filter(|used| used.holds(doorbell.iova))
            })
        })
        .also("DMAP-09", SAYS_THE_SAME),
        fault("DMARW-02", "on-past-the-end", past_the_end).also("DMAP-09", SAYS_THE_SAME),
        // Answered at once, and done when the device is.
        fault("DMARW-02", "the-device-finishes-before-the-unmap", || late_while_busy(false))
            .also("DMAP-09", SAYS_THE_SAME),
        fault("DMARW-02", "one-command-behind-the-unmap", || late_while_busy(true)).also("DMAP-09", SAYS_THE_SAME),
        fault("DMARW-02", "whole-cache-lines", || {
            own_commands(|command| {
                let (address, count) = (get(command, "address"), get(command, "count"));
                let (first, end) = (address & !63, (address + count).next_multiple_of(64));
                put(command, "address", first);
                put(command, "count", end - first);
                if is(command, "DMA_WRITE") {
                    let pattern = command.payload.get(16).copied().unwrap_or(0);
                    command.payload.resize(16 + (end - first) as usize, pattern);
                    command.header.size = (HEADER_SIZE + command.payload.len()) as u32;
                }
            })
        })
        .also("DMARW-01", "one line names both"),
    ]
}

fn limits() -> Vec<Fault> {
    vec![
        fault("DMARW-03", "the-clients-limit-is-not-read", || stated(|_| None)).also("MSZ-06", "which says the same"),
        fault("DMARW-03", "the-limit-without-the-header", || stated(|limit| Some(limit + 32)))
            .also("MSZ-06", "which says the same"),
        fault("DMARW-03", "the-limit-rounded-to-a-power-of-two", || stated(|limit| Some(limit.next_power_of_two())))
            .also("MSZ-06", "which says the same"),
        fault("DMARW-03", "no-less-than-64", || stated(|limit| Some(limit.max(64))))
            .also("MSZ-06", "which says the same"),
    ]
}

fn mapped() -> Vec<Fault> {
    vec![
        fault("DMARW-04", "always-at-the-start", || memory(Moved(|_| 0))),
        fault("DMARW-04", "offsets-of-16-bits", || memory(Moved(|offset| offset & 0xffff))),
        fault("DMARW-04", "on-in-the-first-mapping", || memory(FirstMapping(None))),
        // MAP_PRIVATE.
        fault("DMARW-04", "a-copy-of-the-file", || memory(Private)),
        fault("DMARW-04", "reads-bring-zeroes", || memory(Zeroes)),
    ]
}

fn rights() -> Vec<Fault> {
    vec![
        fault("DMARW-07", "writes-what-is-readable", || by_message(1)).also("DMAP-11", "which says the same"),
        fault("DMARW-07", "reads-what-is-writeable", || by_message(2)).also("DMAP-12", "which says the same"),
        // A range has the rights of the map that was there first.
        fault("DMARW-07", "rights-of-the-map-before", || {
            with_windows(|mut step, windows| {
                let new = Window::named(&step.frame);
                let before = windows.gone.iter().find(|gone| gone.overlaps(&new));
                if let (true, true, Some(before)) = (is(&step.frame, "DMA_MAP"), step.fds.is_empty(), before)
                    && matches!(new.flags, 1..=3)
                {
                    put(&mut step.frame, "flags", before.flags | new.flags);
                }
                step.pass();
            })
        }),
        // The rights are looked up where the operation begins.
        fault("DMARW-07", "rights-of-the-first-window", || {
            let mut opened: Option<Window> = None;
            with_windows(move |mut step, windows| {
                let doorbell = step.doorbell();
                if (doorbell.is_some() || is(&step.frame, "DMA_UNMAP"))
                    && let Some(window) = opened.take()
                {
                    step.unmap(&window);
                    step.map(&window);
                }
                if let Some(doorbell) = doorbell {
                    let flag = if doorbell.writes() { 2 } else { 1 };
                    let first = windows.holding(doorbell.iova);
                    let next = first.and_then(|first| windows.holding(first.last().checked_add(1)?));
                    if let Some(next) = next
                        && next.flags & flag == 0
                        && next.holds(doorbell.iova + doorbell.length.saturating_sub(1))
                    {
                        step.unmap(next);
                        step.map(&Window { flags: 3, ..next.clone() });
                        opened = Some(next.clone());
                    }
                }
                step.pass();
            })
        }),
    ]
}

fn replies() -> Vec<Fault> {
    vec![
        fault("DMARW-05", "an-error-is-not-expected", || {
            around(|step| {
                let failed = step.frame.header.is_reply() && step.frame.header.is_error();
                assert!(!failed, "the client failed to serve DMA");
                step.pass();
            })
        })
        .also("SEC-01", "a crash that shows where the device's status is asked for has no other name")
        .by_process(),
        // The operation is over, and the engine busy for ever.
        fault("DMARW-05", "an-error-leaves-the-engine-busy", || {
            around(|step| {
                if !(step.frame.header.is_reply() && step.frame.header.is_error()) {
                    step.pass();
                }
            })
        }),
        fault("DMARW-05", "an-error-stops-the-engine-for-good", || {
            let mut stopped = false;
            around(move |step| {
                let reply = step.frame.header.is_reply();
                stopped = (stopped || (reply && step.frame.header.is_error())) && !is(&step.frame, "VERSION");
                // The next operation waits for a reply that nobody looks at.
                if !(stopped && reply && !step.frame.header.is_error()) {
                    step.pass();
                }
            })
        }),
        fault("DMARW-05", "an-error-ends-the-session", || {
            around(|step| {
                if step.frame.header.is_reply() && step.frame.header.is_error() {
                    step.effects.push(Effect::Close);
                } else {
                    step.pass();
                }
            })
        }),
        fault("DMARW-06", "a-slice-of-what-was-asked-for", || {
            let mut asked = 0;
            around(move |step| {
                let reply = &step.frame;
                if reply.header.is_reply() && is(reply, "DMA_READ") && !reply.header.is_error() {
                    let data = reply.payload.len().saturating_sub(16);
                    assert!(data >= asked, "range end index {asked} out of range for slice of length {data}");
                }
                step.pass_and(|effects| {
                    for effect in effects {
                        if let Effect::Send { frame, .. } = effect
                            && is(frame, "DMA_READ")
                        {
                            asked = get(frame, "count") as usize;
                        }
                    }
                });
            })
        })
        .by_process(),
        fault("DMARW-06", "as-much-memory-as-the-count-says", || {
            around(|step| {
                let reply = &step.frame;
                let count = if reply.payload.len() < 16 { 0 } else { get(reply, "count") };
                let dma = reply.header.is_reply() && !reply.header.is_error() && is(reply, "DMA_READ");
                assert!(!dma || count < 1 << 40, "memory allocation of {count} bytes failed");
                step.pass();
            })
        })
        .by_process(),
        fault("DMARW-06", "data-behind-the-end-of-the-buffer", || {
            around(|step| {
                let reply = &step.frame;
                let dma = reply.header.is_reply() && is(reply, "DMA_READ");
                assert!(!dma || reply.payload.len() <= 1 << 16, "copy past the end of a buffer");
                step.pass();
            })
        })
        .by_process(),
        fault("DMARW-06", "stuck-on-another-address", || stuck("address")),
        fault("DMARW-06", "stuck-on-another-count", || stuck("count")),
        fault("DMARW-09", "a-write-has-no-reply-payload", || write_replies(|payload| payload > 0)),
        fault("DMARW-09", "a-count-of-4-bytes-is-none", || write_replies(|payload| payload == 12)).noted(),
    ]
}

fn ids() -> Vec<Fault> {
    vec![
        // The buffer that the reply before it was read into.
        fault("DMARW-08", "the-data-of-the-reply-before", || {
            let mut before: Option<Vec<u8>> = None;
            read_replies(move |data| {
                let now = data.to_vec();
                if let Some(before) = before.replace(now).filter(|before| before.len() == data.len()) {
                    data.copy_from_slice(&before);
                }
            })
        }),
        // Ids of 2 bits, and buffers found by them that are not emptied.
        fault("DMARW-08", "buffers-by-the-last-bits-of-the-id", || {
            let mut buffers: [Option<Vec<u8>>; 4] = Default::default();
            let mut count = 0;
            read_replies(move |data| {
                let buffer = &mut buffers[count % 4];
                count += 1;
                match buffer {
                    Some(first) if first.len() == data.len() => data.copy_from_slice(first),
                    _ => *buffer = Some(data.to_vec()),
                }
            })
        }),
        fault("DMARW-08", "every-piece-from-the-first-address", every_piece_from_the_first_address),
    ]
}

/// Unmaps are answered with success at once, and carried out when the device awaits nothing any more, or after its next
/// command.
fn late_while_busy(once: bool) -> Faulty {
    let mut waiting: Option<Frame> = None;
    let mut busy = false;
    around(move |step| {
        if busy && is(&step.frame, "DMA_UNMAP") && waiting.is_none() {
            waiting = Some(step.frame.clone());
            return step.say_done();
        }
        let Step { channel, server, frame, fds, memory, effects } = step;
        let reply = frame.header.is_reply();
        let mut done = Vec::new();
        Step { channel, server: &mut *server, frame, fds, memory: &mut *memory, effects: &mut done }.pass();
        busy = has_command(&done) || (busy && !reply);
        if (!busy || (once && reply))
            && let Some(frame) = waiting.take()
        {
            server.receive(frame, Vec::new(), memory, &mut Vec::new());
            busy = false;
        }
        effects.append(&mut done);
    })
}

/// VERSION states another max_data_xfer_size than the client did, or none.
fn stated(change: fn(u64) -> Option<u64>) -> Faulty {
    commands(move |frame, _| {
        if !is(frame, "VERSION") {
            return;
        }
        let mut stated = capabilities(frame);
        let Some(limit) = stated.remove("max_data_xfer_size").and_then(|limit| limit.as_u64()) else { return };
        stated.extend(change(limit).map(|limit| ("max_data_xfer_size".to_owned(), limit.into())));
        set_capabilities(frame, stated);
    })
}

/// Memory with these flags and without a file may be read and written.
fn by_message(flags: u64) -> Faulty {
    commands(move |frame, fds| {
        if is(frame, "DMA_MAP") && fds.is_empty() && get(frame, "flags") == flags {
            put(frame, "flags", 3);
        }
    })
}

/// The device goes on behind a window that it reaches by message.
fn past_the_end() -> Faulty {
    reaches_also(|doorbell, windows| {
        let window = windows.holding(doorbell.iova).filter(|window| window.file.is_none())?;
        let end = window.last().checked_add(1)?;
        let surplus = (doorbell.iova.checked_add(doorbell.length)?).checked_sub(end).filter(|surplus| *surplus > 0)?;
        Some(Window { address: end, size: surplus.next_multiple_of(PAGE), ..window.clone() })
    })
}

/// Data that the client returns is exchanged for other data.
fn read_replies(mut change: impl FnMut(&mut [u8]) + 'static) -> Faulty {
    around(move |mut step| {
        let header = step.frame.header;
        if header.is_reply() && !header.is_error() && is(&step.frame, "DMA_READ") && step.frame.payload.len() > 16 {
            change(&mut step.frame.payload[16..]);
        }
        step.pass();
    })
}

/// Replies to DMA_WRITE with such a payload are taken for failures.
fn write_replies(failed: fn(usize) -> bool) -> Faulty {
    around(move |mut step| {
        let header = &mut step.frame.header;
        if header.is_reply() && failed(step.frame.payload.len()) && is(&step.frame, "DMA_WRITE") {
            step.frame.header.flags |= ERROR;
        }
        step.pass();
    })
}

/// Waits for ever for a reply with the right value of a field, once there was a wrong one.
fn stuck(field: &'static str) -> Faulty {
    let mut asked = None;
    around(move |step| {
        let reply = step.frame.header.is_reply() && step.frame.payload.len() >= 16;
        if reply && asked.is_some_and(|asked| asked != get(&step.frame, field)) {
            hang();
        }
        step.pass_and(|effects| {
            let sent = effects.iter().find_map(|effect| match effect {
                Effect::Send { frame, .. } if !frame.header.is_reply() => Some(get(frame, field)),
                _ => None,
            });
            asked = sent.or(asked);
        });
    })
}

/// An operation of several commands asks for the same bytes again and again.
fn every_piece_from_the_first_address() -> Faulty {
    let (mut first, mut last) = (None, 0);
    around(move |mut step| {
        if step.doorbell().is_some() {
            first = None;
        }
        if step.frame.header.is_reply() && step.frame.payload.len() >= 16 {
            put(&mut step.frame, "address", last);
        }
        step.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && !frame.header.is_reply()
                {
                    last = get(frame, "address");
                    put(frame, "address", *first.get_or_insert(last));
                }
            }
        });
    })
}

/// Reaches another place in a mapping.
struct Moved(fn(u64) -> u64);

impl Twist for Moved {
    fn read(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        memory.read(address, (self.0)(offset), bytes)
    }

    fn write(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        memory.write(address, (self.0)(offset), bytes)
    }
}

/// Goes on in a mapping where another window follows; holds where the last write was, and where it ended.
struct FirstMapping(Option<(u64, u64)>);

impl Twist for FirstMapping {
    fn map(
        &mut self,
        memory: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        // What follows in the address space of the server is, here, what follows in the file.
        memory.map(address, fd, offset, size + PAGE, access)
    }

    fn write(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let (mapping, at) = match self.0 {
            Some((first, end)) if first + end == address && offset == 0 => (first, end),
            _ => (address, offset),
        };
        self.0 = Some((mapping, at + bytes.len() as u64));
        memory.write(mapping, at, bytes)
    }
}

/// Maps a copy of the file.
struct Private;

impl Twist for Private {
    fn map(
        &mut self,
        memory: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        let copy = memfd(offset + size);
        let mut bytes = vec![0; size.min(1 << 20) as usize];
        if let Ok(count) = pread(&fd, &mut bytes, offset as i64) {
            pwrite(&copy, &bytes[..count], offset as i64).unwrap();
        }
        memory.map(address, copy, offset, size, access)
    }
}

/// Forgets to copy.
struct Zeroes;

impl Twist for Zeroes {
    fn read(&mut self, _: &mut dyn Memory, _: u64, _: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        bytes.fill(0);
        Ok(())
    }
}
