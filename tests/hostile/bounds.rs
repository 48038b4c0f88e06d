//! Servers that go for one bound each: what is kept of what they send, and how long they can go on.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use vfio_user_conformance::Profile;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Context, Library, Plan, Planned, Runner, Timeouts};
use vfio_user_conformance::session::{Direct, Interrupt};
use vfio_user_conformance::target::{DirectServer, DirectTarget, Discovered, Launcher, Serve, Target, probe};
use vfio_user_conformance::verdict::{CaseRecord, CaseResult};
use vfio_user_wire::message::{DeviceInfo, DmaAccess, RegionAccess, RegionInfo, Version};
use vfio_user_wire::{Frame, HEADER_SIZE, Header, region_info_flags};

/// The largest message that is taken, but for its header.
const LARGE: usize = 4 << 20;
/// The same of the probe.
const ASKED: usize = (2 << 20) - HEADER_SIZE;

/// What is held, or why it is not.
pub(crate) type Held = fn() -> Result<(), String>;

/// Each bound by its name.
pub(crate) const BOUNDS: [(&str, Held); 13] = [
    ("large replies to many commands", large_replies),
    ("large version data", large_version_data),
    ("large messages that answer nothing", large_strays),
    ("messages that answer nothing without end", endless_strays),
    ("large region infos", large_region_infos),
    ("migration data without end", endless_migration_data),
    ("portions of migration data without end", endless_portions),
    ("portions without data", empty_portions),
    ("large commands that are not answered", held_commands),
    ("commands without end", endless_commands),
    ("descriptors with every answer", descriptors),
    ("late answers to many commands", late_answers),
    ("replies that are read slowly", slow_reader),
];

/// What comes of a message of the client, and how often.
pub(crate) type Answer = fn(&Frame, &[OwnedFd]) -> (Frame, usize);

/// A server that answers each message by itself, and passes so many descriptors with each answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answering(pub(crate) Answer, pub(crate) usize);

impl DirectTarget for Answering {
    fn start(&self) -> io::Result<Box<dyn DirectServer>> {
        Ok(Box::new(*self))
    }
}

impl DirectServer for Answering {
    fn connect(&mut self) -> Option<Box<dyn Direct>> {
        Some(Box::new(Client {
            answer: self.0,
            passed: self.1,
            stream: Vec::new(),
            asked: VecDeque::new(),
            leaving: None,
        }))
    }
}

#[derive(Debug)]
struct Client {
    answer: Answer,
    passed: usize,
    stream: Vec<u8>,
    asked: VecDeque<(Frame, Vec<OwnedFd>)>,
    /// An answer, and how often it is yet to come.
    leaving: Option<(Frame, usize)>,
}

impl Direct for Client {
    fn give(&mut self, bytes: &[u8], mut fds: Vec<OwnedFd>) {
        self.stream.extend_from_slice(bytes);
        while let Ok(Some((frame, size))) = Frame::split(&self.stream, usize::MAX) {
            self.stream.drain(..size);
            self.asked.push_back((frame, std::mem::take(&mut fds)));
        }
    }

    fn take(&mut self) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        // One answer is made at a time, so that what is held is held by the harness.
        let (frame, times) = match self.leaving.take() {
            Some(leaving) => leaving,
            None => {
                let (frame, fds) = self.asked.pop_front()?;
                (self.answer)(&frame, &fds)
            }
        };
        let bytes = frame.bytes();
        self.leaving = (times > 1).then(|| (frame, times - 1));
        let passed = (0..self.passed).map(|_| File::open("/dev/null").map(OwnedFd::from));
        Some((bytes, passed.collect::<io::Result<_>>().unwrap()))
    }

    fn shutdown(&mut self) {}

    fn is_closed(&self) -> bool {
        false
    }
}

/// Success, with these bytes.
pub(crate) fn reply(frame: &Frame, payload: Vec<u8>) -> Frame {
    Frame::reply(&frame.header, payload)
}

/// What a server must say for a session to begin.
pub(crate) fn usual(frame: &Frame, _: &[OwnedFd]) -> (Frame, usize) {
    let answer = match frame.header.command {
        1 => reply(frame, [Version { major: 0, minor: 0 }.bytes(), b"{\"capabilities\":{}}\0"].concat()),
        4 => reply(frame, DeviceInfo { argsz: 16, flags: 2, num_regions: 9, num_irqs: 5 }.bytes().to_vec()),
        _ => Frame::error(&frame.header, 95),
    };
    (answer, 1)
}

/// Plays a case of this text against such a server.
fn play(target: Target, timeouts: Timeouts, text: &str, offers: &[&str]) -> Result<(CaseRecord, Duration), String> {
    let mut discovered = Discovered {
        capabilities: serde_json::json!({ "capabilities": { "max_dma_maps": u64::MAX } }),
        ..Discovered::default()
    };
    offers.iter().for_each(|need| discovered.yes(need, &[]));
    play_of(Profile::V0_9_2, target, timeouts, text, &discovered)
}

fn play_of(
    profile: Profile,
    target: Target,
    timeouts: Timeouts,
    text: &str,
    discovered: &Discovered,
) -> Result<(CaseRecord, Duration), String> {
    let register = Register::bundled().map_err(|error| error.to_string())?;
    let library = Library::from_texts(vec![("bound.case".to_owned(), text.to_owned())], &register);
    let library = library.map_err(|error| error.to_string())?;
    let case: Planned = Plan::new(&library.cases, &[], profile, &register)?.cases.remove(0);
    let launcher = Launcher::new(target, timeouts.start, false).map_err(|error| error.to_string())?;
    let interrupt = Interrupt::new().map_err(|error| error.to_string())?;
    let context = Context {
        profile,
        register: &register,
        launcher: &launcher,
        discovered,
        device: None,
        timeouts,
        interrupt: &interrupt,
    };
    let runner = Runner { context, jobs: 1, fail_fast: false, pinned: None, replay: String::new() };
    let started = Instant::now();
    let record = runner.judge(&case)?;
    if record.result == CaseResult::Error {
        return Err(format!("{:?}", record.reason));
    }
    Ok((record, started.elapsed()))
}

pub(crate) fn called(answer: Answer, text: &str, offers: &[&str]) -> Result<CaseRecord, String> {
    let target = Target::Direct(Arc::new(Answering(answer, 0)));
    play(target, Timeouts::default(), text, offers).map(|(record, _)| record)
}

fn fails(record: &CaseRecord, why: &str) -> Result<(), String> {
    let found: Vec<&str> = record.findings.iter().map(|finding| finding.actual.as_str()).collect();
    let is_told = found.iter().any(|actual| actual.contains(why));
    let failed = record.result == CaseResult::Fail;
    if failed && is_told { Ok(()) } else { Err(format!("{why}: {:?} {:?} {found:?}", record.result, record.reason)) }
}

fn large_replies() -> Result<(), String> {
    let answer: Answer = |frame, _| match frame.header.command {
        13 => (reply(frame, vec![7; LARGE]), 1),
        _ => usual(frame, &[]),
    };
    fails(&called(answer, "case a.b\n> DEVICE_RESET times=100\n< ok [RESET-01]\n", &[])?, "bytes of replies")?;
    // As many of the largest transfers as a case makes.
    let answer: Answer = |frame, _| match frame.header.command {
        13 => (reply(frame, vec![7; LARGE / 2]), 1),
        _ => usual(frame, &[]),
    };
    let record = called(answer, "case a.b\n> DEVICE_RESET times=9\n< ok [RESET-01]\n", &[])?;
    if fails(&record, "bytes of replies").is_err() { Ok(()) } else { Err(format!("{record:?}")) }
}

fn large_version_data() -> Result<(), String> {
    let answer: Answer = |frame, _| match frame.header.command {
        1 => {
            let data = ["{\"capabilities\":{\"a\":[".as_bytes(), &b"0,".repeat(LARGE / 2 - 100), b"0]}}\0"].concat();
            (reply(frame, [Version { major: 0, minor: 0 }.bytes(), data.as_slice()].concat()), 1)
        }
        _ => usual(frame, &[]),
    };
    let record = called(answer, "case a.b\n> DEVICE_GET_INFO\n< ok [INFO-01]\n", &[])?;
    let found: Vec<_> = record.findings.iter().map(|found| (&found.requirement, &found.actual)).collect();
    if record.result == CaseResult::Pass { Ok(()) } else { Err(format!("{:?} {found:?}", record.result)) }
}

fn large_strays() -> Result<(), String> {
    let answer: Answer = |frame, _| {
        let text = format!("{{\"capabilities\":{{\"a\":\"{}\"}}}}\0", "a".repeat(LARGE / 4));
        let payload = [Version { major: 0, minor: 0 }.bytes(), text.as_bytes()].concat();
        let stray = Frame::reply(&Header { id: 0x1111, command: 1, ..Header::default() }, payload);
        if frame.header.command == 4 { (stray, 200) } else { usual(frame, &[]) }
    };
    let record = called(answer, "case a.b\n> DEVICE_GET_INFO\n< ok [INFO-01]\n", &[])?;
    fails(&record, "silence")
}

fn endless_strays() -> Result<(), String> {
    let answer: Answer = |frame, _| {
        let stray = Frame::reply(&Header { id: 0x1111, command: 1, ..Header::default() }, Vec::new());
        if frame.header.command == 4 { (stray, usize::MAX) } else { usual(frame, &[]) }
    };
    let record = called(answer, "case a.b\n> DEVICE_GET_INFO\n< ok [INFO-01]\n", &[])?;
    fails(&record, "messages that answer no command")
}

fn large_region_infos() -> Result<(), String> {
    let answer: Answer = |frame, _| match frame.header.command {
        4 => {
            let info = DeviceInfo { argsz: 16, flags: 2, num_regions: 64, num_irqs: 0 };
            (reply(frame, info.bytes().to_vec()), 1)
        }
        5 => {
            let index = RegionInfo::parse(&frame.payload).map_or(0, |(info, _)| info.index);
            let info = RegionInfo {
                argsz: ASKED as u32,
                flags: region_info_flags::READ,
                index,
                size: 4096,
                ..RegionInfo::default()
            };
            let mut payload = info.bytes().to_vec();
            payload.resize(ASKED, 0);
            (reply(frame, payload), 1)
        }
        _ => usual(frame, &[]),
    };
    let launcher = Launcher::new(Target::Direct(Arc::new(Answering(answer, 0))), Duration::from_secs(1), false);
    let launcher = launcher.map_err(|error| error.to_string())?;
    let interrupt = Interrupt::new().map_err(|error| error.to_string())?;
    let found = probe(Profile::V0_9_2, &launcher, None, Timeouts::default(), &interrupt);
    let found = found.map_err(|error| error.to_string())?;
    if found.regions.len() > 2 { Ok(()) } else { Err(format!("{:?}", found.troubles)) }
}

fn endless_migration_data() -> Result<(), String> {
    let answer: Answer = |frame, _| match frame.header.command {
        16 => (reply(frame, frame.payload.clone()), 1),
        17 => {
            let size =
                frame.payload.get(4..8).and_then(|size| size.first_chunk()).map_or(0, |size| u32::from_ne_bytes(*size));
            let mut payload = frame.payload.clone();
            payload.resize(8 + size as usize, 1);
            (reply(frame, payload), 1)
        }
        _ => usual(frame, &[]),
    };
    let record = called(
        answer,
        "case a.b\nneeds migration\nsave one                        [MIGDATA-01]\nsave two\n",
        &["migration"],
    )?;
    let found: Vec<_> = record.findings.iter().map(|found| (&found.requirement, &found.actual)).collect();
    if record.result == CaseResult::Inconclusive { Ok(()) } else { Err(format!("{:?} {found:?}", record.reason)) }
}

/// What a migration region of 0.9.1 with `size` bytes in each portion answers.
fn portions(frame: &Frame, size: u64) -> Frame {
    let Some((access, _)) = RegionAccess::parse(&frame.payload).filter(|_| frame.header.command == 9) else {
        return usual(frame, &[]).0;
    };
    let value = match access.offset {
        8 => 100,
        16 => 0x1000,
        24 => size,
        _ => 0,
    };
    let data = &value.to_ne_bytes()[..(access.count as usize).min(8)];
    reply(frame, [access.bytes(), data].concat())
}

fn save(answer: Answer) -> Result<CaseRecord, String> {
    let mut discovered = Discovered { profile: Profile::V0_9_1, ..Discovered::default() };
    discovered.yes("migration-region", &[("migration.region", 9)]);
    let text = "case a.b\nneeds migration-region\nsave state                        [L-MR-19]\n";
    let target = Target::Direct(Arc::new(Answering(answer, 0)));
    play_of(Profile::V0_9_1, target, Timeouts::default(), text, &discovered).map(|(record, _)| record)
}

fn endless_portions() -> Result<(), String> {
    let record = save(|frame, _| (portions(frame, 1), 1))?;
    let said = record.reason.clone().unwrap_or_default();
    let many = record.result == CaseResult::Inconclusive && said.contains("portions of migration data");
    if many { Ok(()) } else { Err(format!("{:?} {said}", record.result)) }
}

fn empty_portions() -> Result<(), String> {
    fails(&save(|frame, _| (portions(frame, 0), 1))?, "portions without data")
}

/// DMA_WRITE without end, to a client that answers none of it.
fn held_commands() -> Result<(), String> {
    let answer: Answer = |frame, _| {
        let write = DmaAccess { address: 0x1_0000, count: LARGE as u64 - 16 };
        let payload = [write.bytes(), &vec![0; LARGE - 16]].concat();
        if frame.header.command == 4 { (Frame::command(1, 12, payload), 100) } else { usual(frame, &[]) }
    };
    let record = called(answer, "case a.b\nserve hold\n> DEVICE_GET_INFO\n< ok [INFO-01]\n", &[])?;
    fails(&record, "bytes of commands without an answer")
}

/// DMA_READ without end, each of which is answered.
fn endless_commands() -> Result<(), String> {
    let answer: Answer = |frame, _| {
        let read = DmaAccess { address: 0x1_0000, count: 4 };
        let command = Frame::command(1, 11, read.bytes().to_vec());
        if frame.header.command == 4 { (command, usize::MAX) } else { usual(frame, &[]) }
    };
    fails(&called(answer, "case a.b\n> DEVICE_GET_INFO\n< ok [INFO-01]\n", &[])?, "10000 commands of the server")
}

/// More than this process may have.
fn descriptors() -> Result<(), String> {
    setrlimit(Resource::RLIMIT_NOFILE, 2000, 2000).map_err(|error| error.to_string())?;
    let text = format!("case a.b\n{}", "> DEVICE_GET_INFO\n< ok [INFO-01]\n".repeat(100));
    let target = Target::Direct(Arc::new(Answering(usual, 250)));
    play(target, Timeouts::default(), &text, &[]).map(|_| ())
}

/// What a server in a thread does with a client.
type Serving = fn(UnixStream) -> io::Result<()>;

#[derive(Debug)]
struct InThread(Serving);

impl Serve for InThread {
    fn serve(&self, listener: UnixListener, _: OwnedFd) {
        // It ends when its client is gone.
        let _ = listener.accept().and_then(|(stream, _)| (self.0)(stream));
    }
}

/// Deadlines of which a few hundred are bearable.
fn hurried() -> Timeouts {
    Timeouts::from_reply(Duration::from_millis(20))
}

fn next(stream: &mut UnixStream) -> io::Result<Frame> {
    let mut bytes = vec![0; HEADER_SIZE];
    stream.read_exact(&mut bytes)?;
    let (header, _) = Header::parse(&bytes).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut payload = vec![0; (header.size as usize).saturating_sub(HEADER_SIZE)];
    stream.read_exact(&mut payload)?;
    Ok(Frame { header, payload })
}

/// Each answer is there as soon as anybody looks for it, and there is no end of them.
fn late_answers() -> Result<(), String> {
    let answer: Answer = |frame, _| {
        std::thread::sleep(Duration::from_millis(1));
        usual(frame, &[])
    };
    let timeouts = Timeouts::from_reply(Duration::from_millis(2));
    let text = format!("case a.b\n{}", "> DEVICE_GET_INFO\n< ok [INFO-01]\n".repeat(3000));
    let (record, _) = play(Target::Direct(Arc::new(Answering(answer, 0))), timeouts, &text, &[])?;
    let said = record.reason.clone().unwrap_or_default();
    let cut_off = record.result == CaseResult::Inconclusive && said.contains("was not over after");
    if cut_off { Ok(()) } else { Err(format!("{:?} {said}", record.result)) }
}

/// The server asks for memory, and reads what it gets so slowly that each reply is just taken.
fn slow_reader() -> Result<(), String> {
    let serve: Serving = |mut stream| {
        let version = next(&mut stream)?;
        stream.write_all(&usual(&version, &[]).0.bytes())?;
        next(&mut stream)?;
        let ask = DmaAccess { address: 0x1_0000, count: 0x10_0000 };
        let commands = Frame::command(1, 11, ask.bytes().to_vec()).bytes().repeat(9000);
        let mut reader = stream.try_clone()?;
        let reading = std::thread::spawn(move || -> io::Result<()> {
            let mut bytes = vec![0; 0x10_0000 + 32];
            loop {
                std::thread::sleep(Duration::from_millis(8));
                reader.read_exact(&mut bytes)?;
            }
        });
        stream.write_all(&commands)?;
        reading.join().map_err(|_| io::ErrorKind::Other)?
    };
    let text = "case a.b\nneeds dma\nlet ram = memfd 0x100000\n> DMA_MAP address=0x10000 size=0x100000 memory=ram\n< ok [DMAP-01]\n";
    let (_, time) = play(Target::Thread(Arc::new(InThread(serve))), hurried(), text, &["dma"])?;
    // Without a bound it would be 9000 times as long as one reply takes: minutes.
    if time < 3 * hurried().whole() + Duration::from_secs(20) { Ok(()) } else { Err(format!("{time:?}")) }
}
