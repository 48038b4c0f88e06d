//! DMA_MAP.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::sys::signal::{Signal, raise};
use vfio_user_reference_server::{Access, Effect, Errno, Machine, Memory};
use vfio_user_wire::{Frame, HEADER_SIZE};

use crate::dma::{PAGE, Window, Windows, failed, failed_with, inode, memfd, reaches_also, with_windows};
use crate::fault::{Fault, fault};
use crate::wrapper::{
    Answer, Faulty, Step, Twist, answers, around, capabilities, commands, effects, get, hang, is, memory, own_commands,
    put, replies, replies_to, set_capabilities,
};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [fields(), descriptors(), overlaps(), refused(), odd(), odd_files(), reach(), tables()]
        .into_iter()
        .flatten()
        .collect()
}

fn fields() -> Vec<Fault> {
    vec![
        // The structure is copied into one of zeroes.
        fault("DMAP-01", "missing-bytes-are-zero", || {
            commands(|frame, _| {
                if is(frame, "DMA_MAP") && !frame.payload.is_empty() && frame.payload.len() < 32 {
                    frame.payload.resize(32, 0);
                    frame.header.size = (HEADER_SIZE + 32) as u32;
                }
            })
        }),
        fault("DMAP-01", "short-maps-are-nothing", || {
            answers(|command| (is(command, "DMA_MAP") && command.payload.len() < 32).then_some(Answer::Nothing))
        }),
        fault("DMAP-02", "argsz-counts-the-header", || {
            answers(|command| {
                (is(command, "DMA_MAP") && get(command, "argsz") < 48).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("DMAP-02", "argsz-is-not-looked-at", || {
            commands(|frame, _| {
                if is(frame, "DMA_MAP") {
                    put(frame, "argsz", 32);
                }
            })
        })
        .noted(),
        fault("DMAP-08", "the-request-in-the-reply", || {
            replies_to("DMA_MAP", |command, reply| reply.payload = command.payload.clone())
        }),
        fault("DMAP-14", "flags-are-checked-last", || refused_late(|window| window.flags & !3 != 0)),
        fault("DMAP-14", "unknown-flags-are-nothing", || {
            answers(|command| (is(command, "DMA_MAP") && get(command, "flags") & !3 != 0).then_some(Answer::Nothing))
        }),
        fault("DMAP-15", "a-region-of-nothing", || {
            answers(|command| (is(command, "DMA_MAP") && get(command, "size") == 0).then(|| Answer::Ok(Vec::new())))
        }),
        // last = address + size, which is 0 for the last page.
        fault("DMAP-16", "the-end-of-the-last-page-overflows", || {
            answers(|command| {
                let wraps = get(command, "address").checked_add(get(command, "size")).is_none();
                (is(command, "DMA_UNMAP") && wraps).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("DMAP-16", "the-last-page-is-refused", || {
            answers(|command| {
                let wraps = get(command, "address").checked_add(get(command, "size")).is_none();
                (is(command, "DMA_MAP") && wraps).then_some(Answer::Error(Errno::EINVAL))
            })
        })
        .noted(),
        fault("DMAP-16", "a-region-around-the-end", || {
            answers(|command| {
                let last = get(command, "address").checked_add(get(command, "size").wrapping_sub(1));
                (is(command, "DMA_MAP") && last.is_none()).then(|| Answer::Ok(Vec::new()))
            })
        })
        .noted(),
        fault("DMAP-16", "attempt-to-add-with-overflow", || {
            answers(|command| {
                let end = get(command, "address").checked_add(get(command, "size"));
                assert!(!is(command, "DMA_MAP") || end.is_some(), "attempt to add with overflow");
                None
            })
        })
        .by_process(),
        fault("DMAP-18", "an-offset-without-a-file-is-nothing", || {
            around(|step| {
                if !is(&step.frame, "DMA_MAP") || get(&step.frame, "offset") == 0 || !step.fds.is_empty() {
                    step.pass();
                }
            })
        }),
        fault("DMAP-22", "a-bit-for-every-page", || {
            answers(|command| {
                let pages = get(command, "size") / PAGE;
                assert!(!is(command, "DMA_MAP") || pages < 1 << 40, "memory allocation of {} bytes failed", pages / 8);
                None
            })
        })
        .by_process(),
        fault("DMAP-22", "page-by-page", || {
            answers(|command| {
                if is(command, "DMA_MAP") && get(command, "size") > 1 << 50 {
                    hang();
                }
                None
            })
        }),
        fault("DMAP-26", "no-flags-no-answer", || {
            answers(|command| (is(command, "DMA_MAP") && get(command, "flags") == 0).then_some(Answer::Nothing))
        }),
        // Rounded to pages on the way in, and compared with what was rounded on the way out.
        fault("DMAP-27", "rounded-to-pages", || {
            commands(|frame, _| {
                if is(frame, "DMA_MAP") {
                    let (address, size) = (get(frame, "address"), get(frame, "size"));
                    put(frame, "address", address / PAGE * PAGE);
                    put(frame, "size", size.checked_next_multiple_of(PAGE).unwrap_or(size));
                }
            })
        }),
    ]
}

fn descriptors() -> Vec<Fault> {
    vec![
        fault("DMAP-03", "a-descriptor-is-wanted", || refuses(|step, _| step.fds.is_empty())),
        // One way to reach memory, which the first map settles.
        fault("DMAP-03", "messages-are-not-for-those-who-share", || {
            refuses(|step, windows| step.fds.is_empty() && windows.all.iter().any(|window| window.file.is_some()))
        }),
        fault("DMAP-04", "a-descriptor-is-too-much", || refuses(|step, _| !step.fds.is_empty())),
        fault("DMAP-04", "descriptors-are-not-for-those-who-send", || {
            refuses(|step, windows| !step.fds.is_empty() && windows.all.iter().any(|window| window.file.is_none()))
        }),
        fault("DMAP-25", "read-only-memory-needs-a-file", || {
            refuses(|step, _| step.fds.is_empty() && get(&step.frame, "flags") == 1)
        }),
        fault("DMAP-28", "a-file-stands-behind-one-region", || {
            refuses(|step, windows| {
                let file = step.fds.first().and_then(inode);
                file.is_some() && windows.all.iter().any(|window| window.inode() == file)
            })
        })
        .also("DMAP-07", "regions of one file that touch"),
        // Files are counted by their inode, and mapped once.
        fault("DMAP-28", "the-mapping-goes-with-its-first-region", || {
            with_windows(|mut step, windows| {
                let named = Window::named(&step.frame);
                let gone = windows.exact(&named).filter(|_| is(&step.frame, "DMA_UNMAP"));
                if let Some(file) = gone.and_then(Window::inode) {
                    for other in windows.all.iter().filter(|other| !other.is(&named) && other.inode() == Some(file)) {
                        step.unmap(other);
                    }
                }
                step.pass();
            })
        })
        .also("DUNMAP-13", "what went with another cannot be unmapped"),
        fault("DMAP-28", "mapped-once-where-it-was-mapped-first", || {
            with_windows(|mut step, windows| {
                let file = step.fds.first().and_then(inode).filter(|_| is(&step.frame, "DMA_MAP"));
                let first = windows.all.iter().find(|window| file.is_some() && window.inode() == file);
                if let Some(first) = first {
                    put(&mut step.frame, "offset", first.offset);
                }
                step.pass();
            })
        }),
    ]
}

fn overlaps() -> Vec<Fault> {
    vec![
        fault("DMAP-05", "overlap-by-the-start-only", || notices(|new, old| old.holds(new.address))),
        fault("DMAP-05", "overlap-by-the-end-only", || notices(|new, old| old.holds(new.last()))),
        fault("DMAP-05", "one-inside-of-the-other-is-forgotten", || {
            notices(|new, old| old.holds(new.address) || old.holds(new.last()))
        }),
        fault("DMAP-05", "the-identical-range-is-forgotten", || notices(|new, old| !new.is(old))),
        fault("DMAP-05", "a-table-by-address", || notices(|new, old| new.address == old.address)),
        fault("DMAP-05", "the-last-page-is-forgotten", || {
            notices(|new, old| new.address <= old.last().saturating_sub(PAGE) && old.address <= new.last())
        }),
        fault("DMAP-05", "the-first-page-is-forgotten", || {
            notices(|new, old| new.address <= old.last() && old.address.saturating_add(PAGE) <= new.last())
        }),
        // A sorted table, of which the neighbour below is looked at.
        fault("DMAP-05", "overlap-with-the-one-below-only", || notices(|new, old| old.address <= new.address)),
        fault("DMAP-05", "overlap-among-mapped-files-only", || {
            notices_among(|new, old, _| old.file.is_some() && new.file.is_some())
        }),
        fault("DMAP-05", "the-same-file-once-more-is-fine", || {
            notices_among(|new, old, _| !(new.is(old) && new.inode().is_some() && new.inode() == old.inode()))
        }),
        // A hint where to look, which is taken for the whole table.
        fault("DMAP-05", "overlap-with-the-latest-only", || {
            notices_among(|_, old, windows| windows.all.last().is_some_and(|latest| latest.is(old)))
        }),
        fault("DMAP-05", "overlap-with-the-first-only", || {
            notices_among(|_, old, windows| windows.all.first().is_some_and(|first| first.is(old)))
        }),
        fault("DMAP-05", "einval-for-overlaps", || errno_for_overlaps(Errno::EINVAL)),
        fault("DMAP-05", "ebusy-for-overlaps", || errno_for_overlaps(Errno::EBUSY)),
        fault("DMAP-07", "touching-is-overlapping", || {
            refuses(|step, windows| {
                let new = Window::named(&step.frame);
                windows.all.iter().any(|old| old.last().checked_add(1) == Some(new.address))
            })
        })
        .also("DMAP-28", "QEMU cuts its memory into regions that touch"),
        fault("DMAP-07", "touching-from-below-is-overlapping", || {
            refuses(|step, windows| {
                let new = Window::named(&step.frame);
                windows.all.iter().any(|old| new.last().checked_add(1) == Some(old.address))
            })
        })
        .also("DUNMAP-08", "QEMU puts new regions where an old one was"),
        // A window may be as large as the gap, but not fill it.
        fault("DMAP-07", "a-gap-cannot-be-filled", || {
            refuses(|step, windows| {
                let new = Window::named(&step.frame);
                let below = windows.all.iter().any(|old| old.last().checked_add(1) == Some(new.address));
                below && windows.all.iter().any(|old| new.last().checked_add(1) == Some(old.address))
            })
        })
        .also("DUNMAP-08", "QEMU puts new regions where an old one was"),
    ]
}

fn refused() -> Vec<Fault> {
    vec![
        fault("DMAP-06", "replaced-and-refused", || {
            on_overlap(|step, new, old| {
                for old in old {
                    step.unmap(old);
                }
                step.map(new);
            })
        }),
        fault("DMAP-06", "the-first-goes-with-the-refused", || {
            on_overlap(|step, _, old| {
                for old in old {
                    step.unmap(old);
                }
            })
        }),
        // The table stays as it was, and the memory behind it is the new one.
        fault("DMAP-06", "mapped-over-before-the-check", || {
            on_overlap(|step, new, old| {
                let known = old.iter().find(|old| old.is(new));
                if let (Some(old), Some(file)) = (known, &new.file) {
                    let access = Access { readable: true, writeable: true };
                    let file = file.try_clone().unwrap();
                    step.memory.map(old.address, file, new.offset, new.size, access).unwrap();
                }
            })
        }),
        fault("DMAP-06", "mapped-before-the-check", || {
            let mut other = 1;
            on_overlap(move |step, new, _| {
                if let Some(file) = &new.file {
                    // Under a name that no window has.
                    other += 2;
                    let access = Access { readable: true, writeable: true };
                    let file = file.try_clone().unwrap();
                    let _ = step.memory.map(other, file, new.offset, new.size, access);
                }
            })
        }),
        fault("DMAP-06", "the-refused-descriptor-stays-open", || {
            let mut kept = Vec::new();
            on_overlap(move |_, new, _| kept.extend(new.file.clone()))
        })
        .by_process(),
        fault("DMAP-14", "refused-and-entered", || {
            refused_late(|window| window.flags & !3 != 0 && window.flags & 3 == 3)
        }),
    ]
}

fn odd() -> Vec<Fault> {
    vec![
        fault("DMAP-17", "surplus-descriptors-stay-open", || {
            let mut kept = Vec::new();
            around(move |mut step| {
                if is(&step.frame, "DMA_MAP") && step.fds.len() > 1 {
                    kept.extend(step.fds.drain(1..));
                }
                step.pass();
            })
        })
        .by_process(),
        fault("DMAP-17", "refused-for-two-which-stay-open", || {
            let mut kept = Vec::new();
            around(move |step| {
                if is(&step.frame, "DMA_MAP") && step.fds.len() > 1 {
                    kept.extend(step.fds.iter().map(|fd| fd.try_clone().unwrap()));
                }
                step.pass();
            })
        })
        .by_process(),
        fault("DMAP-24", "no-dma-no-answer", || answers(|command| is(command, "DMA_MAP").then_some(Answer::Nothing))),
        fault("DMAP-24", "nothing-to-map-no-answer", || {
            answers(|command| {
                if is(command, "DMA_MAP") {
                    return Some(Answer::Error(Errno::ENOTSUP));
                }
                is(command, "DMA_UNMAP").then_some(Answer::Nothing)
            })
        }),
    ]
}

fn odd_files() -> Vec<Fault> {
    vec![
        fault("DMAP-19", "what-cannot-be-mapped-stays-open", || {
            let mut kept: Vec<OwnedFd> = Vec::new();
            around(move |step| {
                let file = step.fds.first().map(|fd| fd.try_clone().unwrap()).filter(|_| is(&step.frame, "DMA_MAP"));
                step.pass_and(|effects| kept.extend(file.filter(|_| failed(effects))));
            })
        }),
        // Taken for something to read and write, and not closed with the unmap.
        fault("DMAP-19", "what-cannot-be-mapped-is-kept", || {
            let mut kept: Vec<OwnedFd> = Vec::new();
            around(move |mut step| {
                if is(&step.frame, "DMA_MAP") && step.fds.first().is_some_and(|fd| !is_memory(fd)) {
                    kept.append(&mut step.fds);
                }
                step.pass();
            })
        }),
        fault("DMAP-19", "mmap-is-expected-to-work", || memory(Unwrapping)).by_process(),
        fault("DMAP-20", "sigbus-on-write", || memory(Dereferencing)).by_process(),
        fault("DMAP-20", "sigbus-on-read", || memory(DereferencingReads)).by_process(),
    ]
}

fn reach() -> Vec<Fault> {
    vec![
        // A check of the first byte.
        fault("DMAP-09", "on-past-the-end", || past_the_end(|_| true)),
        fault("DMAP-09", "off-by-one-at-the-last-byte", || past_the_end(|beyond| beyond == 1)),
        // What is mapped nowhere is asked for by message.
        fault("DMAP-09", "unmapped-is-reached-by-message", || {
            reaches_also(|doorbell, windows| {
                let none = windows.holding(doorbell.iova).is_none();
                none.then(|| Window {
                    address: doorbell.iova & !0xffff,
                    size: 1 << 20,
                    flags: 3,
                    offset: 0,
                    file: None,
                })
            })
        })
        .also("DMARW-02", "which says the same of the commands"),
        // With no file, memory of the server's own takes its place.
        fault("DMAP-10", "memory-of-its-own", || {
            commands(|frame, fds| {
                if is(frame, "DMA_MAP") && fds.is_empty() {
                    put(frame, "offset", 0);
                    fds.push(memfd(get(frame, "size").min(1 << 30)));
                }
            })
        }),
        fault("DMAP-10", "offsets-in-place-of-addresses", || {
            own_commands(|command| {
                let address = get(command, "address");
                put(command, "address", address % PAGE);
            })
        })
        .also("DMAP-09", "what it names is mapped nowhere")
        .also("DMARW-02", "which says the same of the commands"),
        fault("DMAP-10", "two-bytes-too-far", || {
            own_commands(|command| {
                let address = get(command, "address");
                put(command, "address", address + 2);
            })
        }),
        fault("DMAP-11", "every-file-is-writeable", || {
            commands(|frame, fds| {
                if is(frame, "DMA_MAP") && !fds.is_empty() && get(frame, "flags") == 1 {
                    put(frame, "flags", 3);
                }
            })
        }),
        fault("DMAP-11", "what-is-readable-is-writeable", || {
            commands(|frame, _| {
                if is(frame, "DMA_MAP") && get(frame, "flags") == 1 {
                    put(frame, "flags", 3);
                }
            })
        }),
        // The access rights of a range are remembered, and not forgotten with the map.
        fault("DMAP-11", "writeable-as-it-was-before", || rights_as_before(2)),
        fault("DMAP-12", "every-file-is-readable", || {
            commands(|frame, fds| {
                if is(frame, "DMA_MAP") && !fds.is_empty() && get(frame, "flags") == 2 {
                    put(frame, "flags", 3);
                }
            })
        }),
        fault("DMAP-12", "readable-as-it-was-before", || rights_as_before(1)),
        fault("DMAP-13", "offset-is-ignored", || memory(AtOffset(|_| 0))),
        fault("DMAP-13", "offset-of-32-bits", || memory(AtOffset(|offset| offset & 0xffff_ffff))),
    ]
}

fn tables() -> Vec<Fault> {
    vec![
        // Slots are counted up and never down.
        fault("DMAP-21", "a-slot-is-used-once", || {
            let mut used = 0;
            with_slots(move |step, _| {
                used += u64::from(is(&step.frame, "DMA_MAP"));
                used > SLOTS
            })
        }),
        fault("DMAP-21", "the-surplus-map-is-nothing", || {
            stating_slots(|step, windows| {
                if !is(&step.frame, "DMA_MAP") || (windows.all.len() as u64) < SLOTS {
                    step.pass();
                }
            })
        }),
        // What was full once stays full until all is unmapped.
        fault("DMAP-21", "full-is-full", || {
            let mut full = false;
            with_slots(move |step, windows| {
                full |= is(&step.frame, "DMA_MAP") && windows.all.len() as u64 >= SLOTS;
                full &= !windows.all.is_empty();
                full
            })
        }),
        fault("DMAP-21", "no-end-of-maps", || {
            effects(|_, effects| {
                for effect in effects {
                    if let Effect::Send { frame, .. } = effect
                        && frame.header.error == Errno::ENOSPC as u32
                    {
                        *frame = Frame::reply(&frame.header, Vec::new());
                    }
                }
            })
        })
        .noted(),
        fault("DMAP-23", "maps-come-first", || {
            let mut accessed = false;
            answers(move |command| {
                accessed = (accessed || is(command, "REGION_READ")) && !is(command, "VERSION");
                (accessed && is(command, "DMA_MAP")).then_some(Answer::Error(Errno::EBUSY))
            })
        }),
        fault("DMAP-23", "memory-stays-once-it-is-mapped", || {
            let mut mapped = 0;
            answers(move |command| {
                mapped = if is(command, "VERSION") { 0 } else { mapped + u32::from(is(command, "DMA_MAP")) };
                (mapped > 8 && is(command, "DMA_MAP")).then_some(Answer::Error(Errno::EBUSY))
            })
        }),
    ]
}

/// How many maps a small table takes.
const SLOTS: u64 = 80;

/// Such maps are refused.
fn refuses(mut refused: impl FnMut(&Step<'_>, &Windows) -> bool + 'static) -> Faulty {
    with_windows(move |step, windows| {
        if is(&step.frame, "DMA_MAP") && refused(&step, windows) {
            step.answer(Answer::Error(Errno::EINVAL));
        } else {
            step.pass();
        }
    })
}

/// Such maps are entered, and refused then.
fn refused_late(refused: fn(&Window) -> bool) -> Faulty {
    around(move |mut step| {
        if is(&step.frame, "DMA_MAP") && refused(&Window::named(&step.frame)) {
            put(&mut step.frame, "flags", 3);
            step.pass_and(|effects| {
                for effect in effects {
                    let Effect::Send { frame, .. } = effect else { continue };
                    *frame = Frame::error(&frame.header, Errno::EINVAL as u32);
                }
            });
        } else {
            step.pass();
        }
    })
}

fn notices(noticed: fn(&Window, &Window) -> bool) -> Faulty {
    notices_among(move |new, old, _| noticed(new, old))
}

/// Maps over existing windows are refused only where one is noticed; others take the place of what they overlap.
fn notices_among(noticed: impl Fn(&Window, &Window, &Windows) -> bool + 'static) -> Faulty {
    with_windows(move |mut step, windows| {
        let new =
            Window { file: step.fds.first().map(|fd| Arc::new(fd.try_clone().unwrap())), ..Window::named(&step.frame) };
        let mut overlapped = windows.all.iter().filter(|old| old.overlaps(&new));
        if !is(&step.frame, "DMA_MAP") || overlapped.clone().any(|old| noticed(&new, old, windows)) {
            return step.pass();
        }
        let (frame, fds) = (step.frame.clone(), step.fds.iter().map(|fd| fd.try_clone().unwrap()).collect());
        let mut first = Vec::new();
        step.server.receive(frame, fds, step.memory, &mut first);
        if !failed_with(&first, Errno::EEXIST) {
            return step.effects.append(&mut first);
        }
        overlapped.by_ref().for_each(|old| {
            step.unmap(old);
        });
        step.pass();
    })
}

/// Something happens where a map is refused for what it overlaps.
fn on_overlap(mut happens: impl FnMut(&mut Step<'_>, &Window, &[Window]) + 'static) -> Faulty {
    with_windows(move |Step { channel, server, frame, fds, memory, effects }, windows| {
        let named = Window::named(&frame);
        let new = Window { file: fds.first().map(|fd| Arc::new(fd.try_clone().unwrap())), ..named };
        let command = frame.clone();
        let mut done = Vec::new();
        Step { channel, server: &mut *server, frame, fds, memory: &mut *memory, effects: &mut done }.pass();
        if is(&command, "DMA_MAP") && failed_with(&done, Errno::EEXIST) {
            let old: Vec<Window> = windows.all.iter().filter(|old| old.overlaps(&new)).cloned().collect();
            let unseen = &mut Vec::new();
            let mut step = Step::main(server, command, Vec::new(), memory, unseen);
            happens(&mut step, &new, &old);
        }
        effects.append(&mut done);
    })
}

fn errno_for_overlaps(errno: Errno) -> Faulty {
    replies(move |command, reply| {
        if is(command, "DMA_MAP") && reply.header.error == Errno::EEXIST as u32 {
            reply.header.error = errno as u32;
        }
    })
}

/// The device goes on behind the window that it begins in, by so many bytes as `beyond` permits.
fn past_the_end(beyond: fn(u64) -> bool) -> Faulty {
    reaches_also(move |doorbell, windows| {
        let window = windows.holding(doorbell.iova)?;
        let end = window.last().checked_add(1)?;
        let surplus = (doorbell.iova.checked_add(doorbell.length)?).checked_sub(end).filter(|surplus| *surplus > 0)?;
        let size = surplus.next_multiple_of(PAGE);
        let next = Window { address: end, size, offset: window.offset + window.size, ..window.clone() };
        beyond(surplus).then_some(next)
    })
}

/// A window has this flag where one that it overlaps had it before.
fn rights_as_before(flag: u64) -> Faulty {
    with_windows(move |mut step, windows| {
        let new = Window::named(&step.frame);
        let before = windows.gone.iter().any(|old| old.overlaps(&new) && old.flags & flag != 0);
        if is(&step.frame, "DMA_MAP") && before && matches!(new.flags, 1..=3) {
            put(&mut step.frame, "flags", new.flags | flag);
        }
        step.pass();
    })
}

/// VERSION states a small table.
fn stating_slots(mut receive: impl FnMut(Step<'_>, &Windows) + 'static) -> Faulty {
    with_windows(move |step, windows| {
        if !is(&step.frame, "VERSION") {
            return receive(step, windows);
        }
        step.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && !frame.header.is_error()
                {
                    let mut stated = capabilities(frame);
                    stated.insert("max_dma_maps".to_owned(), SLOTS.into());
                    set_capabilities(frame, stated);
                }
            }
        });
    })
}

/// A small table, which is full where `full` says so.
fn with_slots(mut full: impl FnMut(&Step<'_>, &Windows) -> bool + 'static) -> Faulty {
    stating_slots(move |step, windows| {
        if full(&step, windows) && is(&step.frame, "DMA_MAP") {
            step.answer(Answer::Error(Errno::ENOSPC));
        } else {
            step.pass();
        }
    })
}

/// A file that holds memory.
fn is_memory(fd: &OwnedFd) -> bool {
    let regular = nix::sys::stat::SFlag::S_IFREG.bits();
    nix::sys::stat::fstat(fd).is_ok_and(|stat| stat.st_mode & nix::sys::stat::SFlag::S_IFMT.bits() == regular)
}

/// Does not think that a file may be no file.
struct Unwrapping;

impl Twist for Unwrapping {
    fn map(
        &mut self,
        memory: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        let number = fd.as_raw_fd();
        let mapped = memory.map(address, fd, offset, size, access);
        assert!(mapped.is_ok(), "mmap() of descriptor {number} failed");
        mapped
    }
}

/// What a processor does where a file ends before its mapping. The first signal only takes down Rust's own handler.
fn bus_error() {
    raise(Signal::SIGBUS).unwrap();
    raise(Signal::SIGBUS).unwrap();
}

/// Writes through a pointer.
struct Dereferencing;

impl Twist for Dereferencing {
    fn write(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        memory.write(address, offset, bytes).inspect_err(|_| bus_error())
    }
}

/// Reads through a pointer.
struct DereferencingReads;

impl Twist for DereferencingReads {
    fn read(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        memory.read(address, offset, bytes).inspect_err(|_| bus_error())
    }
}

/// Maps files at another offset.
struct AtOffset(fn(u64) -> u64);

impl Twist for AtOffset {
    fn map(
        &mut self,
        memory: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        memory.map(address, fd, (self.0)(offset), size, access)
    }
}
