//! A run that was written by hand, for the tests of the reports.

use std::collections::BTreeMap;

use vfio_user_wire::{Frame, Header, V0_9_2};

use super::collector::Collector;
use super::{Context, Report, Reporter};
use crate::requirement::Register;
use crate::run::{End, Event, Generated, Start};
use crate::session::{Entry, Place, Transcript, Way};
use crate::target::Discovered;
use crate::verdict::{
    Attempt, CaseRecord, CaseResult, Check, Class, Evidence, Exit, Expectations, FieldMark, Finding, Outcome, Said,
};

const REGISTER: &str = r#"
[section]
id = "HDR"
title = "Header and message framing"
lines = "334-459"

[[requirement]]
id = "HDR-19"
level = "implied"
profiles = "all"
cites = [{ section = "Header", lines = "397-399" }, { section = "Security", lines = "315-317" }]
text = "The payload of a message is what its size says, so surplus payload is consumed and never read as a new header."
stimulus = "Surplus bytes."
conforms = "An answer, or a close."
needs = []
failure = "violation"
policy = ["A-36"]
reviewed = true

[[requirement]]
id = "HDR-20"
level = "MUST"
profiles = "all"
cites = [{ section = "DMA_MAP", lines = "653" }]
text = "A DMA_MAP over an existing region must be refused with EEXIST in the error field."
stimulus = "Two maps that overlap."
conforms = "EEXIST."
needs = []
failure = "violation"
policy = []
reviewed = true

[[requirement]]
id = "HDR-21"
level = "SHOULD"
profiles = "all"
cites = [{ section = "Header", lines = "441-443", text = "L" }]
text = "A command that is not known should be refused."
stimulus = "Command 77."
conforms = "An error."
needs = []
failure = "note"
policy = []
reviewed = true

[[policy]]
id = "A-36"
topic = "surplus payload"
text = "Open."
ruling = "Refused, ignored or closed."
"#;

pub(crate) const PINS: &str = r#"
[[expect]]
case = "header.surplus/*"
requirement = "HDR-19"
outcome = "crashed"
reason = "a slice out of range, fixed in 0.1.8"
link = "https://example.org/issues/12"

[[expect]]
case = "header.gone"
requirement = "HDR-20"
outcome = "violation"
reason = "renamed"
"#;

pub(crate) fn register() -> Register {
    Register::parse(&[("sample.toml".to_owned(), REGISTER.to_owned())]).unwrap()
}

pub(crate) fn expectations() -> Expectations {
    Expectations::parse("pins.toml", PINS).unwrap()
}

pub(crate) fn context(register: &Register) -> Context<'_> {
    Context {
        register,
        selected: names(&cases()),
        cases_sha256: "0123",
        expectations: None,
        seed: Some(7),
        shard: None,
        strict: false,
        timeout: "2s",
        one_at_a_time: false,
        command: &[],
        target: "gpio --socket-path {socket}",
        profile: "auto",
    }
}

/// The names of cases, for a context that selected them.
pub(crate) fn names(cases: &[CaseRecord]) -> &'static [String] {
    Vec::leak(cases.iter().map(|case| case.name.clone()).collect())
}

pub(crate) fn start() -> Event {
    Event::Started(Box::new(Start {
        command: ["vfio-user-conformance", "run", "--spawn", "gpio"].map(str::to_owned).to_vec(),
        target: "gpio --socket-path {socket}".to_owned(),
        discovered: Discovered {
            version: Some((0, 1)),
            capabilities: serde_json::json!({"max_msg_fds": 8}),
            has: BTreeMap::new(),
            troubles: vec!["DEVICE_GET_REGION_INFO of region 9: no answer".to_owned()],
            ..Discovered::default()
        },
        profile_asked: "auto".to_owned(),
        profile: crate::Profile::V0_9_2,
        profile_why: "it answers DMA_UNMAP as 0.9.2 says".to_owned(),
        cases: 10,
        shard: None,
        against: None,
    }))
}

pub(crate) fn ended() -> Event {
    Event::Ended(End { complete: true, seconds: 12.34, ..End::default() })
}

pub(crate) fn case(name: &str, result: CaseResult, reason: Option<&str>) -> CaseRecord {
    let file = name.split(['/', '-']).next().unwrap_or_default().replace('.', "/");
    CaseRecord {
        name: name.to_owned(),
        parameters: Vec::new(),
        file: format!("cases/{file}.case"),
        line: 3,
        result,
        reason: reason.map(str::to_owned),
        requirements: vec!["HDR-20".to_owned()],
        attempts: vec![Attempt { outcome: Outcome::Answered, exit: None, seconds: 0.25 }],
        checks: Vec::new(),
        findings: Vec::new(),
        replay: format!("vfio-user-conformance run --spawn 'gpio --socket-path {{socket}}' '{name}'"),
        transcript: Vec::new(),
        stderr: String::new(),
    }
}

fn finding(requirement: &str, class: Class, expected: &str, actual: &str) -> Finding {
    Finding {
        requirement: requirement.to_owned(),
        class,
        policy: Vec::new(),
        expected: expected.to_owned(),
        actual: actual.to_owned(),
        step: 2,
        line: 7,
        message: None,
        field: None,
        evidence: Evidence::Received,
        instead: None,
        by_state: false,
        seen: None,
    }
}

fn map(id: u16, address: u64, surplus: usize) -> Frame {
    let mut payload = Vec::new();
    payload.extend(32u32.to_ne_bytes());
    payload.extend(3u32.to_ne_bytes());
    payload.extend(0u64.to_ne_bytes());
    payload.extend(address.to_ne_bytes());
    payload.extend(0x2000u64.to_ne_bytes());
    payload.extend(std::iter::repeat_n(0, surplus));
    Frame::command(id, 2, payload)
}

fn conversation(surplus: usize, replies: &[Option<u32>]) -> Vec<Entry> {
    let (mut transcript, place) = (Transcript::default(), Place::main("a"));
    let version = Frame::command(0, 1, b"\0\0\x01\0{\"capabilities\":{\"max_msg_fds\":8}}\0".to_vec());
    transcript.message(&V0_9_2, &place, Way::Sent, &version.bytes(), 0);
    let (header, _) = Header::parse(&version.bytes()).unwrap();
    transcript.message(&V0_9_2, &place, Way::Received, &Frame::reply(&header, b"\0\0\x01\0{}\0".to_vec()).bytes(), 0);
    for (n, reply) in replies.iter().enumerate() {
        let request = map(n as u16 + 1, 0x10000 + 0x1000 * n as u64, surplus);
        transcript.message(&V0_9_2, &place, Way::Sent, &request.bytes(), 1);
        let (header, _) = Header::parse(&request.bytes()).unwrap();
        match reply {
            None => transcript.event(&place, Way::Received, "closed", &[]),
            Some(0) => {
                transcript.message(&V0_9_2, &place, Way::Received, &Frame::reply(&header, Vec::new()).bytes(), 0)
            }
            Some(errno) => {
                transcript.message(&V0_9_2, &place, Way::Received, &Frame::error(&header, *errno).bytes(), 0)
            }
        };
    }
    transcript.into_entries()
}

pub(crate) fn crash(name: &str) -> CaseRecord {
    let mut found = finding(
        "HDR-19",
        Class::Violation,
        "an error reply, a reply as if the surplus were not there, or a close",
        "the server crashed",
    );
    found.evidence = Evidence::Exited;
    found.policy = vec!["A-36".to_owned()];
    found.message = Some(3);
    found.field = Some(FieldMark { name: "header.size".to_owned(), offset: 4, length: 4 });
    CaseRecord {
        findings: vec![found],
        checks: vec![Check { requirement: "HDR-19".to_owned(), line: 7, said: Said::Violated }],
        attempts: vec![Attempt { outcome: Outcome::Crashed, exit: Some(Exit::Signal(6)), seconds: 0.5 }],
        transcript: conversation(4, &[None]),
        stderr: "starting\nthread 'main' panicked at src/lib.rs:41:9:\nrange end index 36 out of range \u{1b}[31m\n"
            .to_owned(),
        ..case(name, CaseResult::Fail, None)
    }
}

pub(crate) fn wrong_errno() -> CaseRecord {
    let mut found = finding("HDR-20", Class::Violation, "error EEXIST", "error EINVAL");
    found.message = Some(6);
    found.field = Some(FieldMark { name: "header.error".to_owned(), offset: 12, length: 4 });
    let mut note = finding("HDR-21", Class::Note, "an error reply", "a reply");
    note.message = Some(4);
    CaseRecord {
        findings: vec![found, note],
        checks: vec![Check { requirement: "HDR-20".to_owned(), line: 7, said: Said::Violated }],
        transcript: conversation(0, &[Some(0), Some(22)]),
        ..case("dma-map.overlap", CaseResult::Fail, None)
    }
}

/// Every kind of result.
pub(crate) fn cases() -> Vec<CaseRecord> {
    let mut pass = case("version.plain", CaseResult::Pass, None);
    pass.checks = vec![Check { requirement: "HDR-21".to_owned(), line: 4, said: Said::Held }];
    let error = Some("line 4: there is no procedure \"drain\"");
    vec![
        crash("header.surplus/DMA_MAP"),
        crash("header.surplus/DMA_UNMAP"),
        crash("header.surplus/DEVICE_RESET"),
        wrong_errno(),
        pass,
        case("region.scratch", CaseResult::Skip, Some("the target has no scratch range")),
        case("region.large", CaseResult::Skip, Some("the target has no scratch range")),
        case("irq.trigger", CaseResult::Skip, Some("the target has no interrupt type that can signal an eventfd")),
        case("irq.late", CaseResult::Inconclusive, Some("no reply to DEVICE_SET_IRQS within 2 s in 1 of 3 attempts")),
        case("migration.drain", CaseResult::Error, error),
    ]
}

pub(crate) fn play(reporter: &mut dyn Reporter, cases: Vec<CaseRecord>, end: Event) {
    reporter.event(&start()).unwrap();
    for case in cases {
        reporter.event(&Event::CaseStarted { name: case.name.clone() }).unwrap();
        reporter.event(&Event::CaseFinished(Box::new(case))).unwrap();
    }
    reporter.event(&end).unwrap();
}

/// The report of such a run.
pub(crate) fn report(cases: Vec<CaseRecord>, end: Event) -> Report {
    let register = register();
    report_in(Context { selected: names(&cases), ..context(&register) }, cases, None, end)
}

/// The report of a run of which this is known.
pub(crate) fn report_in(
    context: Context<'_>,
    cases: Vec<CaseRecord>,
    generated: Option<Generated>,
    end: Event,
) -> Report {
    let mut collector = Collector::of_everything(context);
    collector.event(&start());
    for case in cases {
        collector.event(&Event::CaseFinished(Box::new(case)));
    }
    if let Some(generated) = generated {
        collector.event(&Event::Generated(generated));
    }
    collector.event(&end).unwrap()
}
