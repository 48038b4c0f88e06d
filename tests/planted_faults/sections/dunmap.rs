//! DMA_UNMAP.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use vfio_user_reference_server::{Access, Effect, Errno, Memory};
use vfio_user_wire::{Frame, HEADER_SIZE};

use crate::dma::{PAGE, Window, Windows, inode, with_windows};
use crate::fault::{Fault, fault};
use crate::wrapper::{Answer, Faulty, Twist, answers, around, commands, get, is, memory, put, replies_to};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [fields(), exact(), release(), in_flight(), again(), replies()].into_iter().flatten().collect()
}

fn fields() -> Vec<Fault> {
    vec![
        fault("DUNMAP-01", "missing-bytes-are-zero", || {
            commands(|frame, _| {
                if is(frame, "DMA_UNMAP") && !frame.payload.is_empty() && frame.payload.len() < 24 {
                    frame.payload.resize(24, 0);
                    frame.header.size = (HEADER_SIZE + 24) as u32;
                }
            })
        }),
        // What is behind the message is what the message before left there.
        fault("DUNMAP-01", "refused-and-done", || {
            with_windows(|mut step, windows| {
                let short = step.frame.payload.len() < 24;
                if let Some(latest) = windows.all.last().filter(|_| short && is(&step.frame, "DMA_UNMAP")) {
                    step.unmap(latest);
                }
                step.pass();
            })
        }),
        fault("DUNMAP-07", "flags-are-checked-last", || refused_late(|frame| get(frame, "flags") != 0)),
        // The loop over all maps ends with the first one.
        fault("DUNMAP-07", "all-of-them-but-one", || {
            with_windows(|mut step, windows| {
                if !is(&step.frame, "DMA_UNMAP") || get(&step.frame, "flags") != 2 {
                    return step.pass();
                }
                if let Some(first) = windows.all.first() {
                    step.unmap(first);
                }
                step.say_done();
            })
        }),
        fault("DUNMAP-07", "all-of-them-and-then-refused", || {
            with_windows(|mut step, windows| {
                if is(&step.frame, "DMA_UNMAP") && get(&step.frame, "flags") == 2 {
                    for window in &windows.all {
                        step.unmap(window);
                    }
                }
                step.pass();
            })
        }),
        fault("DUNMAP-10", "argsz-is-checked-last", || refused_late(|frame| get(frame, "argsz") < 24)),
        fault("DUNMAP-11", "no-more-than-a-page", || {
            answers(|command| {
                (is(command, "DMA_UNMAP") && get(command, "argsz") > PAGE).then_some(Answer::Error(Errno::E2BIG))
            })
        }),
    ]
}

fn exact() -> Vec<Fault> {
    vec![
        fault("DUNMAP-02", "by-the-address-only", || takes(|named, known| named.address == known.address)),
        fault("DUNMAP-02", "by-the-end-only", || takes(|named, known| named.last() == known.last())),
        fault("DUNMAP-02", "by-any-address-inside", || takes(|named, known| known.holds(named.address))),
        fault("DUNMAP-02", "whatever-it-touches", || takes(|named, known| named.overlaps(known))),
        fault("DUNMAP-02", "the-first-page-will-do", || {
            takes(|named, known| named.address == known.address && named.size == PAGE)
        }),
        fault("DUNMAP-02", "size-0-is-all-of-it", || {
            takes(|named, known| named.address == known.address && named.size == 0)
        }),
        // VFIO's type 1 before its version 2, which cut maps.
        fault("DUNMAP-02", "cut-at-its-start", || cut(|named, known| named.address == known.address)),
        fault("DUNMAP-02", "cut-at-its-end", || cut(|named, known| named.last() == known.last())),
        fault("DUNMAP-02", "cut-from-outside", || {
            cut(|named, known| named.address < known.address && known.holds(named.last()))
        }),
        // Maps that touch are one in the table.
        fault("DUNMAP-02", "maps-that-touch-are-one", || {
            with_windows(|mut step, windows| {
                let named = Window::named(&step.frame);
                let first = windows.all.iter().find(|known| known.address == named.address);
                let last = windows.all.iter().find(|known| known.last() == named.last());
                if let (true, Some(first), Some(last)) = (is(&step.frame, "DMA_UNMAP"), first, last)
                    && !first.is(last)
                {
                    step.unmap(first);
                    step.unmap(last);
                    return step.say_done();
                }
                step.pass();
            })
        })
        .noted(),
        fault("DUNMAP-02", "what-touches-it-goes-with-it", || {
            with_windows(|mut step, windows| {
                let named = Window::named(&step.frame);
                if is(&step.frame, "DMA_UNMAP") && windows.exact(&named).is_some() {
                    for other in windows.all.iter().filter(|other| other.address == named.last() + 1) {
                        step.unmap(other);
                    }
                }
                step.pass();
            })
        }),
        fault("DUNMAP-13", "the-latest-only", || {
            refuses(|named, windows| !windows.all.last().is_some_and(|latest| latest.is(named)))
        }),
        // The entry that takes the place of the one that goes is not found any more.
        fault("DUNMAP-13", "swapped-and-lost", || {
            let mut lost: Option<Window> = None;
            refuses(move |named, windows| {
                let is_lost = lost.as_ref().is_some_and(|lost| lost.is(named));
                if !is_lost && windows.exact(named).is_some() {
                    lost = windows.all.last().filter(|last| !last.is(named)).cloned();
                }
                is_lost
            })
        }),
        // The table keeps what was refused out of reach.
        fault("DUNMAP-14", "the-mapping-goes-before-the-check", || {
            with_windows(|step, windows| {
                let named = Window::named(&step.frame);
                let part = windows.holding(named.address).filter(|known| !known.is(&named));
                if let Some(known) = part.filter(|_| is(&step.frame, "DMA_UNMAP")) {
                    step.memory.unmap(known.address);
                }
                step.pass();
            })
        }),
        fault("DUNMAP-14", "out-of-reach-after-a-refusal", || {
            with_windows(|mut step, windows| {
                let named = Window::named(&step.frame);
                let part = windows.all.iter().filter(|known| known.overlaps(&named) && !known.is(&named));
                if is(&step.frame, "DMA_UNMAP") {
                    for known in part {
                        // Still there, and not to be written.
                        step.unmap(known);
                        step.map(&Window { flags: 1, ..known.clone() });
                    }
                }
                step.pass();
            })
        }),
    ]
}

fn release() -> Vec<Fault> {
    vec![
        fault("DUNMAP-03", "the-entry-goes-and-the-mapping-stays", || memory(Never)),
        fault("DUNMAP-03", "let-go-with-the-next-map", || memory(Later(Vec::new()))),
        // What the device used last is kept at hand.
        fault("DUNMAP-03", "what-was-used-last-stays-mapped", || memory(UsedLast(None))),
        fault("DUNMAP-03", "one-page-is-unmapped", || memory(OnePage(BTreeSet::new()))),
        fault("DUNMAP-12", "the-descriptor-stays-open", || {
            let mut kept: Vec<OwnedFd> = Vec::new();
            around(move |step| {
                if is(&step.frame, "DMA_MAP") {
                    kept.extend(step.fds.iter().map(|fd| fd.try_clone().unwrap()));
                }
                step.pass();
            })
        })
        .by_process(),
        // One is closed for each file.
        fault("DUNMAP-12", "the-second-descriptor-of-a-file-stays-open", || {
            let mut kept: Vec<OwnedFd> = Vec::new();
            with_windows(move |step, windows| {
                let file = step.fds.first().and_then(inode).filter(|_| is(&step.frame, "DMA_MAP"));
                if file.is_some() && windows.all.iter().any(|known| known.inode() == file) {
                    kept.push(step.fds[0].try_clone().unwrap());
                }
                step.pass();
            })
        })
        .by_process(),
        fault("DUNMAP-12", "the-second-goes-with-the-first", || {
            with_windows(|mut step, windows| {
                let named = Window::named(&step.frame);
                let file = windows.exact(&named).filter(|_| is(&step.frame, "DMA_UNMAP")).and_then(Window::inode);
                let others = windows.all.iter().filter(|known| file.is_some() && known.inode() == file);
                for other in others.filter(|known| !known.is(&named)) {
                    step.unmap(other);
                }
                step.pass();
            })
        })
        .by_process(),
        fault("DUNMAP-15", "what-comes-with-it-stays-open", || {
            let mut kept: Vec<OwnedFd> = Vec::new();
            around(move |mut step| {
                if is(&step.frame, "DMA_UNMAP") {
                    kept.append(&mut step.fds);
                }
                step.pass();
            })
        }),
        fault("DUNMAP-15", "refused-for-its-descriptor", || {
            around(|step| {
                if is(&step.frame, "DMA_UNMAP") && !step.fds.is_empty() {
                    step.answer(Answer::Error(Errno::EINVAL));
                } else {
                    step.pass();
                }
            })
        })
        .noted(),
    ]
}

fn in_flight() -> Vec<Fault> {
    vec![
        // As one would who waits for it to be done with the next one.
        fault("DUNMAP-04", "what-the-device-was-at-stays-mapped", || memory(UsedLast(None))),
    ]
}

fn again() -> Vec<Fault> {
    vec![
        fault("DUNMAP-08", "the-range-stays-taken", || {
            with_windows(|step, windows| {
                let new = Window::named(&step.frame);
                if is(&step.frame, "DMA_MAP") && windows.gone.iter().any(|old| old.overlaps(&new)) {
                    step.answer(Answer::Error(Errno::EEXIST));
                } else {
                    step.pass();
                }
            })
        }),
        // Only the latest is remembered, as in a cache of one.
        fault("DUNMAP-08", "the-range-stays-taken-until-the-next-unmap", || {
            with_windows(|step, windows| {
                let new = Window::named(&step.frame);
                if is(&step.frame, "DMA_MAP") && windows.gone.last().is_some_and(|old| old.is(&new)) {
                    step.answer(Answer::Error(Errno::EEXIST));
                } else {
                    step.pass();
                }
            })
        }),
        // Mappings are found by their address, and nobody forgets one.
        fault("DUNMAP-08", "the-old-memory-at-the-old-address", || {
            with_windows(|mut step, windows| {
                let new = Window::named(&step.frame);
                let old = windows.gone.iter().find(|old| old.is(&new) && old.file.is_some());
                if let (true, false, Some(old)) = (is(&step.frame, "DMA_MAP"), step.fds.is_empty(), old) {
                    step.fds = old.file.iter().map(|fd| fd.try_clone().unwrap()).collect();
                    put(&mut step.frame, "offset", old.offset);
                }
                step.pass();
            })
        }),
        fault("DUNMAP-09", "done-already", || {
            with_windows(|step, windows| {
                let named = Window::named(&step.frame);
                if is(&step.frame, "DMA_UNMAP") && windows.gone.iter().any(|gone| gone.is(&named)) {
                    return match windows.exact(&named) {
                        Some(_) => step.pass(),
                        None => step.say_done(),
                    };
                }
                step.pass();
            })
        }),
    ]
}

fn replies() -> Vec<Fault> {
    vec![
        fault("DUNMAP-05", "a-bare-header", || {
            with_windows(|step, windows| {
                let file = windows.exact(&Window::named(&step.frame)).is_some_and(|known| known.file.is_some());
                step.pass_and(|effects| bare(effects, file));
            })
        }),
        fault("DUNMAP-05", "how-many-bytes-are-gone", || {
            replies_to("DMA_UNMAP", |_, reply| {
                let pages = get(reply, "size") / PAGE;
                put(reply, "size", pages);
            })
        }),
        fault("DUNMAP-05", "address-of-32-bits", || {
            replies_to("DMA_UNMAP", |_, reply| {
                let address = get(reply, "address");
                put(reply, "address", address & 0xffff_ffff);
            })
        }),
        fault("DUNMAP-05", "flags-of-the-map", || replies_to("DMA_UNMAP", |_, reply| put(reply, "flags", 3))),
        // The entry of the table, which was overwritten by the one that is last now.
        fault("DUNMAP-05", "the-entry-that-took-its-place", || {
            with_windows(|step, windows| {
                let named = Window::named(&step.frame);
                let last = windows.all.last().filter(|last| windows.all.len() > 1 && !last.is(&named)).cloned();
                let unmap = is(&step.frame, "DMA_UNMAP");
                step.pass_and(|effects| {
                    for effect in effects {
                        if let (true, Some(last), Effect::Send { frame, .. }) = (unmap, &last, effect)
                            && !frame.payload.is_empty()
                        {
                            put(frame, "address", last.address);
                            put(frame, "size", last.size);
                        }
                    }
                });
            })
        })
        .also("DUNMAP-13", "the reply tells of another region"),
        fault("DUNMAP-06", "no-argsz", || replies_to("DMA_UNMAP", |_, reply| put(reply, "argsz", 0))),
        fault("DUNMAP-16", "a-bare-header-without-a-file", || {
            with_windows(|step, windows| {
                let none = windows.exact(&Window::named(&step.frame)).is_some_and(|known| known.file.is_none());
                step.pass_and(|effects| bare(effects, none));
            })
        })
        .also("DUNMAP-05", "which says the same of all unmaps"),
    ]
}

/// An unmap takes away all windows that `taken` finds.
fn takes(taken: fn(&Window, &Window) -> bool) -> Faulty {
    with_windows(move |mut step, windows| {
        let named = Window::named(&step.frame);
        let found: Vec<&Window> = windows.all.iter().filter(|known| taken(&named, known)).collect();
        if !is(&step.frame, "DMA_UNMAP") || found.is_empty() || windows.exact(&named).is_some() {
            return step.pass();
        }
        for window in found {
            step.unmap(window);
        }
        step.say_done();
    })
}

/// An unmap cuts the window that `cut` finds.
fn cut(cut: fn(&Window, &Window) -> bool) -> Faulty {
    with_windows(move |mut step, windows| {
        let named = Window::named(&step.frame);
        let found = windows.all.iter().find(|known| named.overlaps(known) && cut(&named, known));
        let Some(whole) = found.filter(|known| is(&step.frame, "DMA_UNMAP") && !known.is(&named)) else {
            return step.pass();
        };
        step.unmap(whole);
        if named.address > whole.address {
            step.map(&Window { size: named.address - whole.address, ..whole.clone() });
        }
        if named.last() < whole.last() {
            let skipped = named.last() + 1 - whole.address;
            let (address, size) = (whole.address + skipped, whole.size - skipped);
            let offset = whole.offset + if whole.file.is_some() { skipped } else { 0 };
            step.map(&Window { address, size, offset, ..whole.clone() });
        }
        step.say_done();
    })
}

/// Unmaps are refused where `refused` says so.
fn refuses(mut refused: impl FnMut(&Window, &Windows) -> bool + 'static) -> Faulty {
    with_windows(move |step, windows| {
        let named = Window::named(&step.frame);
        if is(&step.frame, "DMA_UNMAP") && refused(&named, windows) {
            step.answer(Answer::Error(Errno::ENOENT));
        } else {
            step.pass();
        }
    })
}

/// Such unmaps are done, and refused then.
fn refused_late(refused: fn(&Frame) -> bool) -> Faulty {
    around(move |mut step| {
        if !is(&step.frame, "DMA_UNMAP") || !refused(&step.frame) {
            return step.pass();
        }
        put(&mut step.frame, "flags", 0);
        put(&mut step.frame, "argsz", 24);
        step.pass_and(|effects| {
            for effect in effects {
                let Effect::Send { frame, .. } = effect else { continue };
                *frame = Frame::error(&frame.header, Errno::EINVAL as u32);
            }
        });
    })
}

/// Leaves out the entry that a reply to DMA_UNMAP repeats.
fn bare(effects: &mut [Effect], which: bool) {
    for effect in effects {
        if let Effect::Send { frame, .. } = effect
            && which
            && is(frame, "DMA_UNMAP")
            && !frame.header.is_error()
        {
            *frame = Frame { header: frame.header.reply(0), payload: Vec::new() };
        }
    }
}

/// Never unmaps.
struct Never;

impl Twist for Never {
    fn unmap(&mut self, _: &mut dyn Memory, _: u64) {}
}

/// Unmaps all but what was used last.
struct UsedLast(Option<u64>);

impl Twist for UsedLast {
    fn unmap(&mut self, memory: &mut dyn Memory, address: u64) {
        if self.0 != Some(address) {
            memory.unmap(address);
        }
    }

    fn read(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.0 = Some(address);
        memory.read(address, offset, bytes)
    }

    fn write(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.0 = Some(address);
        memory.write(address, offset, bytes)
    }
}

/// Unmaps what is to be unmapped when something else is mapped.
struct Later(Vec<u64>);

impl Twist for Later {
    fn map(
        &mut self,
        memory: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        self.0.drain(..).for_each(|address| memory.unmap(address));
        memory.map(address, fd, offset, size, access)
    }

    fn unmap(&mut self, _: &mut dyn Memory, address: u64) {
        self.0.push(address);
    }
}

/// Forgets how large a mapping is: what has more than a page stays, in part.
struct OnePage(BTreeSet<u64>);

impl Twist for OnePage {
    fn map(
        &mut self,
        memory: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        if size > PAGE {
            self.0.insert(address);
        }
        memory.map(address, fd, offset, size, access)
    }

    fn unmap(&mut self, memory: &mut dyn Memory, address: u64) {
        if !self.0.remove(&address) {
            memory.unmap(address);
        }
    }
}
