//! Client memory: maps, and accesses to them.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;

use vfio_user_reference_server::{Access, Channel, Effect, Errno, Memory};
use vfio_user_wire::message::{DmaAccess, DmaUnmap};
use vfio_user_wire::{Frame, NO_REPLY, V0_9_2};

use crate::layer::{Message, Served, around, around_each, memory, refuses, replies_to, taken};
use crate::liberty::{Liberty, liberty, set};
use crate::wrapper::{Twist, capabilities, get, is, put, set_capabilities};
use vfio_user_reference_server::{Feature, Without};

const MAPS: [&str; 5] = ["DMAP-*", "DUNMAP-*", "VER-19", "CONC-11", "DISC-01"];
const ACCESS: [&str; 8] = ["DMARW-*", "DMAP-*", "DUNMAP-*", "TWIN-*", "CONC-*", "DLOG-*", "HDR-15", "MSZ-06"];

pub(crate) fn liberties() -> Vec<Liberty> {
    vec![
        liberty("no-dma-at-all", "453-454: a failed command is answered so; 599-600 obliges the client", |served| {
            refuses(served, |frame, _| (is(frame, "DMA_MAP") || is(frame, "DMA_UNMAP")).then_some(Errno::ENOTSUP))
        })
        .seen_by(&MAPS)
        .seen_by(&["DLOG-32", "clients.*"])
        .without_dma(),
        liberty("maps-are-taken-and-not-kept", "595-602: the message informs; policy: no table is a note", |served| {
            around(served, |message| {
                if !message.is_command() {
                    return message.pass();
                }
                if is(&message.frame, "DMA_MAP") && message.frame.payload.len() == 32 {
                    return message.answer(Vec::new());
                }
                if is(&message.frame, "DMA_UNMAP") && message.frame.payload.len() == 24 {
                    let payload = message.frame.payload.clone();
                    return message.answer(payload);
                }
                message.pass();
            })
        })
        .seen_by(&MAPS)
        .seen_by(&["DLOG-*", "clients.*"])
        .without_dma()
        .noted("DMAP-02", "an argsz below the structure is not looked at")
        .noted("DMAP-16", "how rows are judged, 4: no table is kept")
        .noted("DUNMAP-09", "how rows are judged, 4: no table is kept")
        .noted("DMAP-05", "how rows are judged, 4: no table is kept"),
        liberty("no-dma-and-nothing-said", "policy A-49", |served| {
            around(served, |message| {
                if message.is_command()
                    && (is(&message.frame, "DMA_MAP") || is(&message.frame, "DMA_UNMAP"))
                    && message.frame.payload.len() >= 24
                {
                    message.answer(Vec::new());
                } else {
                    message.pass();
                }
            })
        })
        .seen_by(&MAPS)
        .without_dma()
        .noted("DMAP-01", "nothing of it is looked at")
        .noted("DMAP-02", "nothing of it is looked at")
        .noted("DMAP-05", "how rows are judged, 4: no table is kept")
        .noted("DMAP-16", "how rows are judged, 4: no table is kept")
        .noted("DUNMAP-05", "policy A-49: no entry")
        .noted("DUNMAP-16", "policy A-49: no entry")
        .noted("DUNMAP-09", "how rows are judged, 4: no table is kept"),
        liberty("unmap-repeats-argsz", "703: the original entry; policy A-02", |served| {
            replies_to(served, "DMA_UNMAP", |command, reply| put(reply, "argsz", get(command, "argsz")))
        })
        .seen_by(&["DUNMAP-*"]),
        liberty("unmap-with-flags-is-refused", "689: flags are unused; policy A-04", |served| {
            refuses(served, |frame, _| (is(frame, "DMA_UNMAP") && get(frame, "flags") != 0).then_some(Errno::EINVAL))
        })
        .seen_by(&["DUNMAP-*"]),
        liberty("unmap-of-everything", "policy A-04: bit 1 with address and size 0", unmap_all)
            .seen_by(&["DUNMAP-*", "DMAP-*"]),
        liberty("odd-maps-are-refused", "policies A-03, A-32, A-33", |served| {
            refuses(served, |frame, fds| {
                let field = |name| get(frame, name);
                let odd = |value: u64| !value.is_multiple_of(4096);
                let end = u128::from(field("address")) + u128::from(field("size"));
                let refused = !matches!(field("flags"), 1 | 3)
                    || field("size") == 0
                    || odd(field("address"))
                    || odd(field("size"))
                    || odd(field("offset"))
                    || fds.len() > 1
                    || fds.is_empty() && field("offset") != 0
                    || end > 1 << 52
                    || field("argsz") != 32
                    || frame.payload.len() != 32;
                (is(frame, "DMA_MAP") && refused).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&MAPS)
        .noted("DMAP-16", "the last page is refused"),
        liberty("odd-maps-are-taken", "policies A-03, A-32, A-33", |served| {
            around(served, |mut message| {
                if message.is_command() && is(&message.frame, "DMA_MAP") && message.frame.payload.len() >= 32 {
                    let before = message.frame.clone();
                    let flags = get(&message.frame, "flags") & 3;
                    put(&mut message.frame, "flags", flags);
                    put(&mut message.frame, "argsz", 32);
                    if message.fds.is_empty() {
                        put(&mut message.frame, "offset", 0);
                    }
                    if message.fds.len() > 1 {
                        message.fds.truncate(1);
                        taken();
                    }
                    if message.frame != before {
                        taken();
                    }
                }
                message.pass();
            })
        })
        .seen_by(&MAPS)
        .noted("DMAP-02", "argsz is not looked at"),
        liberty("memory-is-mapped-when-it-is-used", "646-649: can be mapped; nothing says when", |served| {
            memory(served, Lazy::default())
        })
        .seen_by(&MAPS)
        .seen_by(&["DMARW-*", "SETIRQS-*"]),
        liberty("memory-is-never-mapped", "646-649: can be mapped; 1300-1301: by message in any case", |served| {
            around(served, |mut message| {
                if message.is_command()
                    && is(&message.frame, "DMA_MAP")
                    && !message.fds.is_empty()
                    && message.frame.payload.len() == 32
                {
                    message.fds.clear();
                    put(&mut message.frame, "offset", 0);
                    taken();
                }
                message.pass();
            })
        })
        .seen_by(&MAPS)
        .seen_by(&ACCESS),
        liberty("descriptors-are-kept-while-mapped", "699-701 has them released with the map", |served| {
            memory(served, Keeps::default())
        })
        .seen_by(&MAPS),
        liberty(
            "one-thing-at-a-time",
            "259-260, 1300: nothing says that commands are served while a reply is awaited",
            |served| synchronous(super::version::without_twin(served)),
        )
        .seen_by(&ACCESS)
        .seen_by(&["SETIRQS-*", "RESET-*", "MIGFSM-*"])
        .noted("TWIN-09", "a twin socket is recommended"),
        liberty(
            "unmap-waits-for-what-is-under-way",
            "699-701: potentially includes in-flight DMA transactions",
            |served| unmap_waits(served),
        )
        .seen_by(&ACCESS),
        liberty("pieces-of-a-line", "1303-1304: counts have a ceiling and no floor", |served| {
            around(served, |mut message| {
                if message.is_command() && is(&message.frame, "VERSION") {
                    let mut stated = capabilities(&message.frame);
                    if !stated.is_empty()
                        && stated
                            .get("max_data_xfer_size")
                            .and_then(serde_json::Value::as_u64)
                            .is_none_or(|most| most > 64)
                    {
                        stated.insert("max_data_xfer_size".to_owned(), serde_json::json!(64));
                        set_capabilities(&mut message.frame, stated);
                        taken();
                    }
                }
                message.pass();
            })
        })
        .seen_by(&["DMARW-*", "DMAP-1*", "DMAP-09", "TWIN-*", "CONC-*"])
        .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("pieces-all-at-once-and-backwards", "245-250, 427-430: commands can be under way together", pieces)
            .seen_by(&ACCESS),
        liberty(
            "reads-whole-lines",
            "1413-1414: the address must have been exported; nothing bounds what is read",
            |served| reads_ahead(served, 64),
        )
        .seen_by(&ACCESS),
        liberty("reads-whole-pages", "1413-1414", |served| reads_ahead(served, 4096)).seen_by(&ACCESS),
        liberty("reads-twice", "1413-1414: nothing says how often", reads_twice).seen_by(&ACCESS),
        liberty("writes-without-a-reply", "441-443: no reply is needed", |served| writes_without_reply(served))
            .seen_by(&ACCESS),
        liberty("the-device-reads-of-its-own-accord", "599-600: once it is mapped, the server can access it", polls)
            .seen_by(&ACCESS),
        set("maps-of-a-device-without-dma", "595-602", Without::from_iter([Feature::Dma])).seen_by(&MAPS).without_dma(),
    ]
}

#[derive(Default)]
struct Windows {
    all: Vec<(u64, u64, u64, bool)>,
}

impl Windows {
    fn learn(&mut self, command: &Frame, with_fd: bool, done: bool) {
        let (address, size) = (get(command, "address"), get(command, "size"));
        if !done || command.header.message_type() != 0 {
        } else if is(command, "DMA_MAP") {
            self.all.push((address, size, get(command, "flags"), with_fd));
        } else if is(command, "DMA_UNMAP") {
            self.all.retain(|window| (window.0, window.1) != (address, size));
        }
    }

    /// All of these bytes are in one window.
    fn hold(&self, address: u64, count: u64) -> bool {
        self.all.iter().any(|window| {
            address >= window.0 && address - window.0 < window.1 && count <= window.1 - (address - window.0)
        })
    }
}

fn unmap_all(served: Served) -> Served {
    around_each(served, || {
        let mut windows = Windows::default();
        move |message: Message<'_>| {
            let (command, with_fd) = (message.frame.clone(), !message.fds.is_empty());
            let all = is(&command, "DMA_UNMAP")
                && get(&command, "flags") == 2
                && get(&command, "address") == 0
                && get(&command, "size") == 0;
            if message.is_command() && all && command.payload.len() == 24 {
                let number = V0_9_2.command("DMA_UNMAP").unwrap().0;
                for (address, size, ..) in std::mem::take(&mut windows.all) {
                    let unmap = DmaUnmap { argsz: 24, flags: 0, address, size };
                    message.served.receive(
                        Frame::command(0, number, unmap.bytes().to_vec()),
                        Vec::new(),
                        &mut *message.memory,
                        &mut Vec::new(),
                    );
                }
                return message.answer(command.payload);
            }
            message.pass_and_learn(|done, _| windows.learn(&command, with_fd, done));
        }
    })
}

/// Maps a file when it is used for the first time.
#[derive(Default)]
struct Lazy {
    waiting: BTreeMap<u64, (OwnedFd, u64, u64, Access)>,
}

impl Lazy {
    fn now(&mut self, memory: &mut dyn Memory, address: u64) -> Result<(), Errno> {
        match self.waiting.remove(&address) {
            Some((fd, offset, size, access)) => memory.map(address, fd, offset, size, access),
            None => Ok(()),
        }
    }
}

impl Twist for Lazy {
    fn map(
        &mut self,
        _: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        taken();
        self.waiting.insert(address, (fd, offset, size, access));
        Ok(())
    }

    fn unmap(&mut self, memory: &mut dyn Memory, address: u64) {
        if self.waiting.remove(&address).is_none() {
            memory.unmap(address);
        }
    }

    fn read(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.now(memory, address)?;
        memory.read(address, offset, bytes)
    }

    fn write(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.now(memory, address)?;
        memory.write(address, offset, bytes)
    }
}

/// Keeps a descriptor as long as its map.
#[derive(Default)]
struct Keeps {
    kept: BTreeMap<u64, OwnedFd>,
}

impl Twist for Keeps {
    fn map(
        &mut self,
        memory: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        let kept = fd.try_clone().map_err(|_| Errno::EMFILE)?;
        memory.map(address, fd, offset, size, access)?;
        self.kept.insert(address, kept);
        taken();
        Ok(())
    }

    fn unmap(&mut self, memory: &mut dyn Memory, address: u64) {
        self.kept.remove(&address);
        memory.unmap(address);
    }
}

fn own(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Send { frame, .. } if !frame.header.is_reply())).count()
}

/// While a reply of the client's is awaited, its commands wait.
fn synchronous(served: Served) -> Served {
    waits(served, |_, under_way, _| under_way)
}

/// An unmap, and what comes behind it, waits until nothing is under way.
fn unmap_waits(served: Served) -> Served {
    waits(served, |command, under_way, others_wait| under_way && is(command, "DMA_UNMAP") || others_wait)
}

/// A command for which `holds` says so waits until no command of the server's is under way: it is asked with the command, whether
/// one is under way, and whether others wait already.
fn waits(served: Served, holds: fn(&Frame, bool, bool) -> bool) -> Served {
    around_each(served, move || {
        let mut under_way = 0;
        let mut waiting: VecDeque<(Frame, Vec<OwnedFd>)> = VecDeque::new();
        move |message: Message<'_>| {
            if message.is_command() && holds(&message.frame, under_way > 0, !waiting.is_empty()) {
                taken();
                waiting.push_back((message.frame, message.fds));
                return;
            }
            let Message { channel, served, frame, fds, memory, effects } = message;
            if frame.header.message_type() == 1 {
                under_way -= usize::min(under_way, 1);
            }
            let mut done = Vec::new();
            Message { channel, served: &mut *served, frame, fds, memory: &mut *memory, effects: &mut done }.pass();
            under_way += own(&done);
            effects.append(&mut done);
            while under_way == 0
                && let Some((frame, fds)) = waiting.pop_front()
            {
                served.receive(frame, fds, &mut *memory, &mut done);
                under_way += own(&done);
                effects.append(&mut done);
            }
        }
    })
}

fn access(frame: &Frame) -> Option<(u64, u64)> {
    DmaAccess::parse(&frame.payload).map(|(access, _)| (access.address, access.count))
}

fn dma(frame: &Frame) -> bool {
    !frame.header.is_reply() && (is(frame, "DMA_READ") || is(frame, "DMA_WRITE"))
}

/// A reply to a command of the machine's, as if its client had sent it.
fn confirmed(command: &Frame, data: Option<Vec<u8>>) -> Frame {
    let (address, count) = access(command).unwrap_or_default();
    let mut payload = DmaAccess { address, count }.bytes().to_vec();
    payload.extend(data.unwrap_or_default());
    Frame::reply(&command.header, payload)
}

/// Every command goes out in up to four pieces, all at once and the last first.
fn pieces(served: Served) -> Served {
    struct Whole {
        command: Frame,
        /// Where each piece starts, by its id, and what came of it.
        pieces: BTreeMap<u16, (u64, Option<Vec<u8>>)>,
        failed: bool,
    }
    let mut whole: Option<Whole> = None;
    let mut next_id = 0x4000u16;
    let mut split = move |effects: &mut Vec<Effect>| -> Option<Whole> {
        let at = effects.iter().position(|effect| matches!(effect, Effect::Send { frame, .. } if dma(frame)))?;
        let Effect::Send { channel, frame: command, .. } = effects.remove(at) else { return None };
        let (address, count) = access(&command)?;
        let length = count.div_ceil(4).max(1);
        let mut whole = Whole { command: command.clone(), pieces: BTreeMap::new(), failed: false };
        let mut out = Vec::new();
        for start in (0..count).step_by(length as usize) {
            let piece = length.min(count - start);
            let mut payload = DmaAccess { address: address + start, count: piece }.bytes().to_vec();
            if is(&command, "DMA_WRITE") {
                payload.extend(&command.payload[16 + start as usize..(16 + start + piece) as usize]);
            }
            next_id = next_id.wrapping_add(1);
            whole.pieces.insert(next_id, (start, None));
            out.push(Effect::Send {
                channel,
                frame: Frame::command(next_id, command.header.command, payload),
                fds: Vec::new(),
            });
        }
        out.reverse();
        effects.splice(at..at, out);
        taken();
        Some(whole)
    };
    around(served, move |mut message| {
        if message.is_command() && is(&message.frame, "VERSION") {
            whole = None;
        }
        if message.frame.header.message_type() == 1
            && let Some(known) = &mut whole
            && let Some((_, data)) = known.pieces.get_mut(&{ message.frame.header.id })
        {
            let asked = message.frame.clone();
            let expected = access(&asked).is_some();
            known.failed |= asked.header.is_error() || !expected && is(&known.command, "DMA_READ");
            *data = Some(asked.payload.get(16..).unwrap_or_default().to_vec());
            if known.pieces.values().any(|(_, data)| data.is_none()) {
                return;
            }
            let done = whole.take().unwrap();
            let mut parts: Vec<(u64, Vec<u8>)> =
                done.pieces.into_values().map(|(start, data)| (start, data.unwrap())).collect();
            parts.sort();
            let data: Vec<u8> = parts.into_iter().flat_map(|(_, data)| data).collect();
            message.frame = if done.failed {
                Frame::error(&done.command.header, 5)
            } else {
                confirmed(&done.command, is(&done.command, "DMA_READ").then_some(data))
            };
        }
        message.pass_and(|effects| {
            if let Some(begun) = split(effects) {
                whole = Some(begun);
            }
        });
    })
}

/// A read goes out as one of whole lines, where the window has them and the client takes so many.
fn reads_ahead(served: Served, line: u64) -> Served {
    around_each(served, move || {
        let mut windows = Windows::default();
        let mut most = 1 << 20;
        let mut under_way: Option<(Frame, u64, u64)> = None;
        move |mut message: Message<'_>| {
            let (command, with_fd) = (message.frame.clone(), !message.fds.is_empty());
            if message.is_command() && is(&command, "VERSION") {
                under_way = None;
                most = capabilities(&command)
                    .get("max_data_xfer_size")
                    .and_then(serde_json::Value::as_u64)
                    .unwrap_or(1 << 20);
            }
            if command.header.message_type() == 1
                && let Some((asked, first, count)) =
                    under_way.take_if(|(asked, ..)| { asked.header.id } == { command.header.id })
            {
                let (address, wanted) = access(&asked).unwrap();
                let right = !command.header.is_error()
                    && access(&command) == Some((first, count))
                    && command.payload.len() as u64 == 16 + count;
                message.frame = if right {
                    let at = 16 + (address - first) as usize;
                    confirmed(&asked, Some(command.payload[at..at + wanted as usize].to_vec()))
                } else {
                    Frame::error(&asked.header, 5)
                };
            }
            message.pass_and_learn(|done, effects| {
                windows.learn(&command, with_fd, done);
                for effect in effects {
                    let Effect::Send { frame, .. } = effect else { continue };
                    if !dma(frame) || !is(frame, "DMA_READ") {
                        continue;
                    }
                    let (address, count) = access(frame).unwrap();
                    let first = address / line * line;
                    let end = address.checked_add(count).and_then(|end| end.checked_next_multiple_of(line));
                    let whole = end.map_or(u64::MAX, |end| end - first);
                    if whole <= most && windows.hold(first, whole) {
                        under_way = Some((frame.clone(), first, whole));
                        frame.payload = DmaAccess { address: first, count: whole }.bytes().to_vec();
                        taken();
                    }
                }
            });
        }
    })
}

/// The first reply to a read is thrown away, and the read sent again.
fn reads_twice(served: Served) -> Served {
    let mut under_way: Option<(Channel, Frame, bool)> = None;
    around(served, move |message| {
        let reply = message.frame.clone();
        if reply.header.message_type() == 1
            && let Some((channel, command, again)) =
                under_way.as_mut().filter(|(_, command, _)| { command.header.id } == { reply.header.id })
            && !std::mem::replace(again, true)
            && !reply.header.is_error()
        {
            message.effects.push(Effect::Send { channel: *channel, frame: command.clone(), fds: Vec::new() });
            taken();
            return;
        }
        message.pass_and(|effects| {
            for effect in effects.iter() {
                if let Effect::Send { channel, frame, .. } = effect
                    && dma(frame)
                    && is(frame, "DMA_READ")
                {
                    under_way = Some((*channel, frame.clone(), false));
                }
            }
        });
    })
}

/// DMA_WRITE goes out with No_reply, and the device goes on at once.
fn writes_without_reply(served: Served) -> Served {
    around(served, |message| {
        let Message { channel, served, frame, fds, memory, effects } = message;
        let mut done = Vec::new();
        Message { channel, served: &mut *served, frame, fds, memory: &mut *memory, effects: &mut done }.pass();
        loop {
            let mut command = None;
            for effect in &mut done {
                if let Effect::Send { frame, channel, .. } = effect
                    && dma(frame)
                    && is(frame, "DMA_WRITE")
                {
                    command = Some((*channel, frame.clone()));
                    frame.header.flags |= NO_REPLY;
                    taken();
                }
            }
            effects.append(&mut done);
            let Some((channel, command)) = command else { return };
            let reply = confirmed(&command, None);
            match channel {
                Channel::Main => served.receive(reply, Vec::new(), &mut *memory, &mut done),
                Channel::Twin => served.receive_on_twin(reply, &mut *memory, &mut done),
            }
        }
    })
}

/// The device looks into memory that is mapped without a descriptor, behind every message of the client's.
fn polls(served: Served) -> Served {
    const ID: u16 = 0x7001;
    around_each(served, || {
        let mut windows = Windows::default();
        let mut twin = false;
        let mut looking = false;
        move |message: Message<'_>| {
            let (command, with_fd, is_command) = (message.frame.clone(), !message.fds.is_empty(), message.is_command());
            if command.header.message_type() == 1 && command.header.id == ID {
                looking = false;
                return;
            }
            message.pass_and_learn(|done, effects| {
                twin |= effects.iter().any(|effect| matches!(effect, Effect::Twin { .. }));
                windows.learn(&command, with_fd, done);
                let ends = effects.iter().any(|effect| matches!(effect, Effect::Close));
                let window = windows.all.iter().find(|window| window.2 & 1 != 0 && window.1 >= 4 && !window.3);
                if let (true, false, Some(window)) = (is_command, looking || ends, window) {
                    let number = V0_9_2.command("DMA_READ").unwrap().0;
                    let payload = DmaAccess { address: window.0, count: 1 }.bytes().to_vec();
                    let channel = if twin { Channel::Twin } else { Channel::Main };
                    effects.push(Effect::Send { channel, frame: Frame::command(ID, number, payload), fds: Vec::new() });
                    looking = true;
                    taken();
                }
            });
        }
    })
}
