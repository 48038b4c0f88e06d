//! What the device says of its regions, and accesses to them.

use vfio_user_reference_server::{Effect, Errno};
use vfio_user_wire::{Frame, SparseArea, region_info_flags as flags, sparse_mmap_bytes, type_bytes};

use crate::layer::{Message, Served, around, effects, refuses, replies_to, taken};
use crate::liberty::{Liberty, liberty, set};
use crate::wrapper::{get, is, put};
use vfio_user_reference_server::{Feature, Without};

/// What of BAR1 can be mapped.
const AREAS: [SparseArea; 2] =
    [SparseArea { offset: 0x1000, size: 0x2000 }, SparseArea { offset: 0x8000, size: 0x4000 }];
/// Bytes of the fixed part of a region's info.
const FIXED: usize = 32;
const INFO: &str = "DEVICE_GET_REGION_INFO";

pub(crate) fn liberties() -> Vec<Liberty> {
    let info = ["REGINFO-*", "MSZ-*", "region-info.*", "clients.*", "INFO-05"];
    vec![
        liberty("capabilities-far-behind", "852-854: cap_offset says where they are", |served| {
            capabilities(served, || (96, chain(96, &[sparse(&AREAS)])))
        })
        .seen_by(&info),
        liberty("unknown-capabilities-between", "864-889: a list, of which each entry has an id", |served| {
            capabilities(served, || (32, chain(32, &[unknown(0x7fff, 24), sparse(&AREAS), unknown(9, 8)])))
        })
        .seen_by(&info),
        liberty("capabilities-with-gaps", "885-886: next says where the next one is", |served| {
            capabilities(served, || {
                let mut first = sparse(&AREAS);
                first.resize(first.len() + 64, 0);
                (40, chain(40, &[first, unknown(77, 40)]))
            })
        })
        .seen_by(&info),
        liberty("a-type-for-an-ordinary-region", "143-146 has it for others; a list can hold any", |served| {
            capabilities(served, || (32, chain(32, &[type_bytes(0x8000_1234, 1, 0), sparse(&AREAS)])))
        })
        .seen_by(&info),
        liberty("many-areas", "926-929: as many as nr_areas says", |served| {
            capabilities(served, || {
                let pages = AREAS.iter().flat_map(|area| {
                    (0..{ area.size } / 0x1000)
                        .map(move |page| SparseArea { offset: area.offset + page * 0x1000, size: 0x1000 })
                });
                let mut pages: Vec<SparseArea> = pages.collect();
                pages.reverse();
                (32, chain(32, &[sparse(&pages)]))
            })
        })
        .seen_by(&info),
        liberty("no-areas", "926: nr_areas is a number", |served| {
            capabilities(served, || (32, chain(32, &[sparse(&[])])))
        })
        .seen_by(&info),
        liberty("two-sparse-capabilities", "864-889: a list", |served| {
            capabilities(served, || (32, chain(32, &[sparse(&AREAS[..1]), sparse(&AREAS[1..])])))
        })
        .seen_by(&info),
        liberty("cut-replies-are-a-prefix", "343-347: the full payload is not included", |served| {
            around(served, |mut message| {
                let room = get(&message.frame, "argsz");
                if !message.is_command() || !is(&message.frame, INFO) || message.frame.payload.len() < FIXED {
                    return message.pass();
                }
                // The machine has room for all, and what is cut is cut here.
                put(&mut message.frame, "argsz", 1 << 16);
                message.pass_and(|effects| {
                    for effect in effects {
                        let Effect::Send { frame, .. } = effect else { continue };
                        if frame.payload.len() as u64 > room.max(FIXED as u64) {
                            frame.payload.truncate(room.max(FIXED as u64) as usize);
                            frame.header.size = (16 + frame.payload.len()) as u32;
                            taken();
                        }
                    }
                });
            })
        })
        .seen_by(&info)
        .noted("REGINFO-07", "policy A-06: CAPS is set where the capabilities are left out"),
        liberty("argsz-below-the-structure-is-refused", "337-338: it should be at least that", |served| {
            refuses(served, |frame, _| {
                let least = match () {
                    () if is(frame, "DEVICE_GET_INFO")
                        || is(frame, "DEVICE_GET_IRQ_INFO")
                        || is(frame, "DEVICE_GET_REGION_IO_FDS") =>
                    {
                        16
                    }
                    () if is(frame, INFO) => 32,
                    () if is(frame, "DMA_UNMAP") => 24,
                    () if is(frame, "DMA_MAP") => 32,
                    () => return None,
                };
                (get(frame, "argsz") < least).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&["MSZ-*", "INFO-09", "REGINFO-14", "IOFDS-14", "IRQINFO-10", "DUNMAP-10", "DMAP-02"]),
        liberty("fields-that-must-be-zero-are-checked", "736, 800-803, 975-978, 1135", |served| {
            refuses(served, |frame, fds| {
                let query = ["DEVICE_GET_INFO", INFO, "DEVICE_GET_IRQ_INFO", "DEVICE_GET_REGION_IO_FDS"];
                let message = vfio_user_wire::V0_9_2.message(frame.header.command)?;
                if !query.contains(&message.name) {
                    return None;
                }
                let other =
                    message.request.fixed?.fields.iter().filter(|field| field.name != "argsz" && field.name != "index");
                let zero = other.map(|field| field.read(&frame.payload).unwrap_or(0)).all(|value| value == 0);
                (!zero || !fds.is_empty()).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&["INFO-10", "REGINFO-15", "IRQINFO-11", "IOFDS-15", "SEC-05", "SEC-02"]),
        liberty("no-vga-region", "141-146: 0 to 8 are the standard ones; this device has no VGA", |served| {
            refuses(served, |frame, _| (is(frame, INFO) && get(frame, "index") == 8).then_some(Errno::EINVAL))
        })
        .seen_by(&info)
        .noted("INFO-05", "QEMU asks for it, and takes the refusal"),
        liberty("ten-regions", "141-146: more than the standard ones, with a type", |served| {
            let served = replies_to(served, "DEVICE_GET_INFO", |_, reply| put(reply, "num_regions", 10));
            own_region(served, 9..10)
        })
        .seen_by(&["REGINFO-*", "INFO-*", "RREAD-*", "RWRITE-*", "IOFDS-*"]),
        liberty("two-hundred-regions", "768: any number", |served| {
            let served = replies_to(served, "DEVICE_GET_INFO", |_, reply| put(reply, "num_regions", 200));
            own_region(served, 9..200)
        })
        .seen_by(&["REGINFO-*", "INFO-*"])
        .noted("INFO-11", "QEMU takes 100 at the most"),
        liberty("bar4-is-beyond-4-gib", "856: the size is of 64 bits", |served| {
            replies_to(served, INFO, |_, reply| {
                if get(reply, "index") == 4 {
                    put(reply, "size", 0x1_0000_0000_0000);
                }
            })
        })
        .seen_by(&["REGINFO-*", "RREAD-*"])
        .noted("REGINFO-04", "policy A-52"),
        liberty("a-region-that-is-only-written", "841-842: each access is allowed by itself", |served| {
            let served = replies_to(served, INFO, |_, reply| {
                if get(reply, "index") == 0 {
                    put(reply, "flags", u64::from(flags::WRITE));
                }
            });
            refuses(served, |frame, _| (is(frame, "REGION_READ") && get(frame, "region") == 0).then_some(Errno::EACCES))
        })
        .seen_by(&["REGINFO-*", "RREAD-09"]),
        liberty("region-infos-have-an-offset-where-nothing-is-mapped", "857-859: for regions with MMAP", |served| {
            replies_to(served, INFO, |_, reply| {
                if get(reply, "flags") & u64::from(flags::MMAP) == 0 {
                    put(reply, "offset", get(reply, "index") << 40);
                }
            })
        })
        .seen_by(&info),
        liberty("regions-are-not-mapped", "112-115: when a region can be mapped", |served| not_mapped(served))
            .seen_by(&info),
        liberty(
            "mapped-for-reading-only",
            "843-846: MMAP does not say with which protection; 842: no WRITE",
            |served| {
                let served = replies_to(served, INFO, |_, reply| {
                    if get(reply, "index") == 2 {
                        put(reply, "flags", u64::from(flags::READ | flags::MMAP));
                    }
                });
                let served = read_only_descriptor(served, 2);
                refuses(served, |frame, _| {
                    (is(frame, "REGION_WRITE") && get(frame, "region") == 2).then_some(Errno::EPERM)
                })
            },
        )
        .seen_by(&["REGINFO-*", "RWRITE-05", "RREAD-08"]),
        liberty("descriptors-without-the-flag", "843-846 does not forbid it", |served| {
            effects(served, |command, effects| {
                for effect in effects {
                    if let Effect::Send { frame, fds, .. } = effect
                        && is(command, INFO)
                        && get(command, "index") == 7
                        && frame.header.is_reply()
                        && !frame.header.is_error()
                    {
                        fds.push(std::sync::Arc::new(memfd(4096)));
                        taken();
                    }
                }
            })
        })
        .seen_by(&["REGINFO-*"])
        .noted("REGINFO-06", "policy: a descriptor without the flag")
        .noted("VER-14", "the client may take none"),
        liberty(
            "accesses-of-a-register-s-width",
            "841-842, policy A-52: what a device makes of a width is its own matter",
            |served| {
                refuses(served, |frame, _| {
                    let access = is(frame, "REGION_READ") || is(frame, "REGION_WRITE");
                    let (offset, count) = (get(frame, "offset"), get(frame, "count"));
                    let natural = [1, 2, 4, 8].contains(&count) && offset % count == 0;
                    (access && !natural && !is_scratch(frame)).then_some(Errno::EINVAL)
                })
            },
        )
        .seen_by(&["RREAD-*", "RWRITE-*", "SOCK-03", "HDR-*", "CONC-*", "DMARW-*", "DMAP-*", "TWIN-*"])
        .noted("RREAD-16", "QEMU reads all of the configuration space at once"),
        liberty("accesses-of-4-bytes-alone", "841-842, policy A-52", |served| {
            refuses(served, |frame, _| {
                let access = is(frame, "REGION_READ") || is(frame, "REGION_WRITE");
                let whole = get(frame, "count") == 4 && get(frame, "offset").is_multiple_of(4);
                (access && !whole && !is_scratch(frame) && get(frame, "region") != 7).then_some(Errno::EIO)
            })
        })
        .seen_by(&["RREAD-*", "RWRITE-*", "SOCK-03", "HDR-*", "CONC-*", "DMARW-*", "DMAP-*", "TWIN-*", "REGINFO-*"])
        .noted("REGINFO-04", "policy A-52"),
        liberty("short-reads", "1347: the size of the data transferred, policy A-41", |served| {
            around(served, |mut message| {
                let asked = get(&message.frame, "count");
                if message.is_command() && is(&message.frame, "REGION_READ") && asked > 16 {
                    put(&mut message.frame, "count", 16);
                    taken();
                }
                message.pass();
            })
        })
        .seen_by(&["RREAD-*", "RWRITE-*", "VER-17"])
        .noted("RREAD-03", "policy A-41")
        .noted("RREAD-05", "policy A-39")
        .noted("RREAD-11", "policy A-39")
        .noted("RREAD-16", "QEMU reads all of it at once")
        .noted("VER-17", "policy A-41"),
        liberty("short-writes", "1392: the size of the data transferred, policy A-41", |served| {
            around(served, |mut message| {
                if message.is_command()
                    && is(&message.frame, "REGION_WRITE")
                    && get(&message.frame, "count") == message.frame.payload.len().saturating_sub(16) as u64
                    && message.frame.payload.len() > 32
                {
                    put(&mut message.frame, "count", 16);
                    message.frame.payload.truncate(32);
                    taken();
                }
                message.pass();
            })
        })
        .seen_by(&["RREAD-*", "RWRITE-*", "VER-17"])
        .noted("RWRITE-01", "policy A-41")
        .noted("VER-17", "policy A-41"),
        liberty("reads-past-the-end-are-short", "1347; policy A-39", |served| past_the_end(served))
            .seen_by(&["RREAD-*", "RWRITE-*", "REGINFO-04", "SEC-06"])
            .noted("RREAD-05", "policy A-39")
            .noted("RREAD-11", "policy A-39")
            .noted("RWRITE-04", "policy A-39"),
        liberty("accesses-of-nothing-are-refused", "1328, policy A-15", |served| {
            refuses(served, |frame, _| {
                let access = is(frame, "REGION_READ") || is(frame, "REGION_WRITE");
                (access && get(frame, "count") == 0).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&["RREAD-07", "RWRITE-08"]),
        liberty("a-clock-in-configuration-space", "the text says nothing of what a region holds", |served| {
            let mut now = 0u8;
            replies_to(served, "REGION_READ", move |command, reply| {
                if get(command, "region") == 7 && get(command, "offset") <= 0x3c {
                    let at = 16 + (0x3c - get(command, "offset")) as usize;
                    if let Some(byte) = reply.payload.get_mut(at) {
                        now = now.wrapping_add(7);
                        *byte = now;
                    }
                }
            })
        })
        .seen_by(&["RREAD-*", "REGINFO-18", "HDR-*", "CONC-*", "MSZ-*"])
        .noted("RREAD-14", "what configuration space holds is worth a note"),
        liberty("bars-and-command-are-hardwired", "the text says nothing of what a region holds", |served| {
            around(served, |message| {
                let frame = &message.frame;
                let (region, offset, count) = (get(frame, "region"), get(frame, "offset"), get(frame, "count"));
                let whole = count == frame.payload.len().saturating_sub(16) as u64;
                if message.is_command()
                    && is(frame, "REGION_WRITE")
                    && region == 7
                    && whole
                    && offset.saturating_add(count) <= 256
                {
                    let payload = frame.payload[..16].to_vec();
                    message.answer(payload);
                } else {
                    message.pass();
                }
            })
        })
        .seen_by(&["RWRITE-*", "RREAD-*", "CONC-*", "RESET-*", "DISC-*"])
        .noted("RWRITE-12", "policy A-52"),
        liberty("configuration-space-of-pci-express", "856; its size is the device's", |served| {
            let served = replies_to(served, INFO, |_, reply| {
                if get(reply, "index") == 7 {
                    put(reply, "size", 4096);
                }
            });
            around(served, |message| {
                let frame = &message.frame;
                let (region, offset, count) = (get(frame, "region"), get(frame, "offset"), get(frame, "count"));
                let read = is(frame, "REGION_READ");
                let inside = region == 7 && offset.saturating_add(count) <= 4096 && offset.saturating_add(count) > 256;
                let whole = frame.payload.len() as u64 == 16 + if read { 0 } else { count };
                if !message.is_command() || !inside || !whole || !(read || is(frame, "REGION_WRITE")) {
                    return message.pass();
                }
                let mut payload = frame.payload[..16].to_vec();
                if read {
                    payload.resize(16 + count as usize, 0);
                    if offset < 256 {
                        let mut inner = frame.clone();
                        put(&mut inner, "count", 256 - offset);
                        let mut done = Vec::new();
                        message.served.receive(inner, Vec::new(), message.memory, &mut done);
                        if let Some(Effect::Send { frame: reply, .. }) = done.first() {
                            payload[16..reply.payload.len()].copy_from_slice(&reply.payload[16..]);
                        }
                    }
                }
                message.answer(payload);
            })
        })
        .seen_by(&["RREAD-*", "RWRITE-*", "REGINFO-*", "MSZ-*"]),
        liberty("sub-regions-of-48-bytes", "999-1000: 40 bytes today, and not to be relied on", |served| {
            replies_to(served, "DEVICE_GET_REGION_IO_FDS", |command, reply| {
                let entries: Vec<Vec<u8>> =
                    reply.payload[16..].chunks_exact(40).map(|entry| [entry, &[0; 8][..]].concat()).collect();
                let count = get(reply, "count") as usize;
                put(reply, "argsz", 16 + 48 * count as u64);
                reply.payload.truncate(16);
                if get(command, "argsz") >= 16 + 48 * count as u64 {
                    reply.payload.extend(entries.concat());
                }
            })
        })
        .seen_by(&["IOFDS-*", "MSZ-*"]),
        liberty("sub-regions-in-another-order", "1009: an array, of no order; 1043: fd_index is an index", |served| {
            effects(served, |command, effects| {
                for effect in effects {
                    if let Effect::Send { frame, fds, .. } = effect
                        && is(command, "DEVICE_GET_REGION_IO_FDS")
                        && frame.header.is_reply()
                        && !frame.header.is_error()
                    {
                        fds.reverse();
                        let last = fds.len() as u32;
                        let mut entries: Vec<Vec<u8>> =
                            frame.payload[16..].chunks_exact(40).map(<[u8]>::to_vec).collect();
                        for entry in &mut entries {
                            let at = u32::from_ne_bytes(entry[16..20].try_into().unwrap());
                            entry[16..20].copy_from_slice(&(last - 1 - at).to_ne_bytes());
                        }
                        entries.reverse();
                        frame.payload.truncate(16);
                        frame.payload.extend(entries.concat());
                        taken();
                    }
                }
            })
        })
        .seen_by(&["IOFDS-*"]),
        liberty("no-sub-regions", "942: optional; policy A-13", |served| {
            around(served, |message| {
                let (argsz, region) = (get(&message.frame, "argsz"), get(&message.frame, "index"));
                if message.is_command()
                    && is(&message.frame, "DEVICE_GET_REGION_IO_FDS")
                    && argsz >= 16
                    && region < 9
                    && message.frame.payload.len() >= 16
                {
                    let payload = [16u32.to_ne_bytes(), [0; 4], (region as u32).to_ne_bytes(), [0; 4]].concat();
                    message.answer(payload);
                } else {
                    message.pass();
                }
            })
        })
        .seen_by(&["IOFDS-*", "HDR-33"])
        .noted("IOFDS-06", "policy A-13: no descriptor came"),
        liberty("write-multi-stops-at-what-fails", "1531: the number of writes completed", stops_at_what_fails)
            .seen_by(&["WMULTI-*"]),
        set(
            "only-configuration-space",
            "768-772",
            Without::from_iter([
                Feature::Regions,
                Feature::InterruptTypes,
                Feature::Dma,
                Feature::Migration,
                Feature::IoFds,
            ]),
        )
        .seen_by(&["SOCK-*", "HDR-*"]),
    ]
}

/// Memory of the server's own.
fn memfd(size: i64) -> std::os::fd::OwnedFd {
    let fd = nix::sys::memfd::memfd_create(c"liberty", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap();
    nix::unistd::ftruncate(&fd, size).unwrap();
    fd
}

fn unknown(id: u16, bytes: usize) -> Vec<u8> {
    let mut capability = [&id.to_ne_bytes()[..], &3u16.to_ne_bytes(), &0u32.to_ne_bytes()].concat();
    capability.extend((0..bytes).map(|byte| byte as u8 | 1));
    capability
}

fn sparse(areas: &[SparseArea]) -> Vec<u8> {
    sparse_mmap_bytes(areas, 0)
}

/// Capabilities one behind the other, of which the first stands at `first`.
fn chain(first: usize, capabilities: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, capability) in capabilities.iter().enumerate() {
        let start = bytes.len();
        bytes.extend(capability);
        if i + 1 < capabilities.len() {
            let next = (first + bytes.len()) as u32;
            bytes[start + 4..start + 8].copy_from_slice(&next.to_ne_bytes());
        }
    }
    bytes
}

/// Says otherwise what of BAR1 can be mapped.
fn capabilities(served: Served, say: impl Fn() -> (usize, Vec<u8>) + 'static) -> Served {
    replies_to(served, INFO, move |command, reply| {
        if get(command, "index") != 1
            || get(reply, "flags") & u64::from(flags::MMAP) == 0 && get(reply, "argsz") == FIXED as u64
        {
            return;
        }
        let (offset, bytes) = say();
        let full = offset + bytes.len();
        put(reply, "argsz", full as u64);
        reply.payload.truncate(FIXED);
        if get(command, "argsz") >= full as u64 {
            put(reply, "flags", get(reply, "flags") | u64::from(flags::CAPS));
            put(reply, "cap_offset", offset as u64);
            reply.payload.resize(offset, 0);
            reply.payload.extend(bytes);
        } else {
            put(reply, "flags", get(reply, "flags") & !u64::from(flags::CAPS));
            put(reply, "cap_offset", 0);
        }
    })
}

/// Regions of the device's own: each of 64 bytes that read as their offset and take no writes.
fn own_region(served: Served, indexes: std::ops::Range<u64>) -> Served {
    around(served, move |message| {
        let frame = &message.frame;
        if message.is_command()
            && is(frame, INFO)
            && indexes.contains(&get(frame, "index"))
            && frame.payload.len() >= FIXED
        {
            let kind = type_bytes(0x8000_10de, 1, 0);
            let full = FIXED + kind.len();
            let mut payload = vec![0; FIXED];
            let complete = get(frame, "argsz") >= full as u64;
            payload[..4].copy_from_slice(&(full as u32).to_ne_bytes());
            payload[4..8].copy_from_slice(&(flags::READ | if complete { flags::CAPS } else { 0 }).to_ne_bytes());
            payload[8..12].copy_from_slice(&(get(frame, "index") as u32).to_ne_bytes());
            payload[16..24].copy_from_slice(&64u64.to_ne_bytes());
            if complete {
                payload[12..16].copy_from_slice(&(FIXED as u32).to_ne_bytes());
                payload.extend(kind);
            }
            return message.answer(payload);
        }
        let (offset, count) = (get(frame, "offset"), get(frame, "count"));
        let inside = offset.saturating_add(count) <= 64 && frame.payload.len() == 16;
        if message.is_command() && is(frame, "REGION_READ") && indexes.contains(&get(frame, "region")) && inside {
            let payload = frame.payload.iter().copied().chain((offset..offset + count).map(|at| at as u8)).collect();
            return message.answer(payload);
        }
        message.pass();
    })
}

/// No region can be mapped.
fn not_mapped(served: Served) -> Served {
    effects(served, |command, effects| {
        for effect in effects {
            if let Effect::Send { frame, fds, .. } = effect
                && is(command, INFO)
                && frame.header.is_reply()
                && !frame.header.is_error()
                && get(frame, "size") > 0
            {
                fds.clear();
                let plain = get(frame, "flags") & u64::from(flags::READ | flags::WRITE);
                put(frame, "flags", plain);
                put(frame, "argsz", FIXED as u64);
                put(frame, "cap_offset", 0);
                put(frame, "offset", 0);
                frame.payload.truncate(FIXED);
                frame.header.size = (16 + FIXED) as u32;
                taken();
            }
        }
    })
}

/// The descriptor of that region is open for reading alone.
fn read_only_descriptor(served: Served, region: u64) -> Served {
    effects(served, move |command, effects| {
        for effect in effects {
            if let Effect::Send { frame, fds, .. } = effect
                && is(command, INFO)
                && frame.header.is_reply()
                && get(command, "index") == region
                && let Some(fd) = fds.first_mut()
            {
                use std::os::fd::AsRawFd;
                let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
                *fd = std::sync::Arc::new(std::fs::File::open(path).unwrap().into());
                taken();
            }
        }
    })
}

/// An access that goes past the end of a region is done as far as that.
fn past_the_end(served: Served) -> Served {
    const SIZES: [u64; 9] = [0x1_0000, 0x1_0000, 0x20_0000, 0, 0x1000, 0, 0, 256, 0];
    around(served, |mut message: Message<'_>| {
        let frame = &mut message.frame;
        let access = is(frame, "REGION_READ") || is(frame, "REGION_WRITE");
        let size = SIZES.get(get(frame, "region") as usize).copied().unwrap_or(0);
        let (offset, count) = (get(frame, "offset"), get(frame, "count"));
        let over = offset.saturating_add(count).saturating_sub(size);
        if access && size > 0 && offset < size && over > 0 {
            let write = is(frame, "REGION_WRITE");
            if !write || frame.payload.len() as u64 == 16 + count {
                put(frame, "count", size - offset);
                frame.payload.truncate(16 + if write { (size - offset) as usize } else { 0 });
                taken();
            }
        }
        message.pass();
    })
}

/// The access begins in bytes that the device file names as scratch.
fn is_scratch(frame: &Frame) -> bool {
    match get(frame, "region") {
        // A register of the device file has the width that it says.
        0 => get(frame, "offset") == 0x38 || (0x1000..0x3000).contains(&get(frame, "offset")),
        region => region == 1 || region == 2,
    }
}

/// The first number of a REGION_WRITE_MULTI or of its reply: how many writes.
fn writes(payload: &[u8]) -> u64 {
    payload.get(..8).map_or(0, |bytes| u64::from_ne_bytes(bytes.try_into().unwrap()))
}

/// The writes before one that fails are done, and counted.
fn stops_at_what_fails(served: Served) -> Served {
    around(served, |message| {
        let asked = writes(&message.frame.payload);
        let whole =
            asked.checked_mul(24).and_then(|bytes| bytes.checked_add(8)) == Some(message.frame.payload.len() as u64);
        if !message.is_command() || !is(&message.frame, "REGION_WRITE_MULTI") || !whole {
            return message.pass();
        }
        let quiet = message.frame.header.no_reply();
        for count in (0..=asked).rev() {
            let mut part = message.frame.clone();
            part.header.flags &= !vfio_user_wire::NO_REPLY;
            part.payload.truncate(8 + 24 * count as usize);
            part.payload[..8].copy_from_slice(&count.to_ne_bytes());
            let mut done = Vec::new();
            message.served.receive(part, Vec::new(), &mut *message.memory, &mut done);
            let failed = done.iter().any(|effect| matches!(effect, Effect::Send { frame, .. } if frame.header.is_reply() && frame.header.is_error()));
            if failed && count > 0 {
                taken();
                continue;
            }
            done.retain(|effect| !quiet || !matches!(effect, Effect::Send { frame, .. } if frame.header.is_reply()));
            message.effects.append(&mut done);
            return;
        }
    })
}
