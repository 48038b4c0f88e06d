//! Two servers that are told the same: alike they do not part, and where one of them is faulty the model blames that one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

#[path = "support/direct.rs"]
mod direct;
#[path = "support/probed.rs"]
mod probed;
mod support;
#[allow(dead_code, reason = "most of it is for the planted faults")]
#[path = "planted_faults/wrapper.rs"]
mod wrapper;

use direct::DirectMachine;
use probed::Probed;
use support::{Bench, server};
use vfio_user_conformance::generate::{Against, Comparison};
use vfio_user_conformance::run::Timeouts;
use vfio_user_conformance::verdict::{Answered, Class, Differential, Divergence, Side};
use vfio_user_reference_server::{Effect, Machine, Server};
use vfio_user_wire::{Frame, V0_9_2};
use wrapper::{Answer, around, is, put, replies_to};

fn good() -> Box<dyn Machine> {
    Box::new(Server::new())
}

/// Says that every map succeeded, whatever became of it.
fn maps_everything() -> Box<dyn Machine> {
    around(|step| {
        let command = step.frame.header;
        if !is(&step.frame, "DMA_MAP") || step.frame.payload.len() != 32 {
            return step.pass();
        }
        step.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && frame.header.is_error()
                {
                    *frame = Frame::reply(&command, Vec::new());
                }
            }
        });
    })
}

/// Its replies to DMA_UNMAP have another size.
fn unmaps_another_size() -> Box<dyn Machine> {
    replies_to("DMA_UNMAP", |_, reply| put(reply, "size", 0x123))
}

/// Leaves a client that sends what it does not know; so does no other, and both may.
fn leaves_at_the_unknown() -> Box<dyn Machine> {
    around(|step| {
        let number = { step.frame.header.command };
        if V0_9_2.message(number).is_none() { step.answer(Answer::Close) } else { step.pass() }
    })
}

/// Plays sequences against both, by calls.
fn part(a: fn() -> Box<dyn Machine>, b: fn() -> Box<dyn Machine>, count: u64) -> (Differential, Vec<String>) {
    let (found, files) = compared(a, b, count, false);
    assert!(found.complete && found.lost.is_none());
    (found.differential, files)
}

fn compared(
    a: fn() -> Box<dyn Machine>,
    b: fn() -> Box<dyn Machine>,
    count: u64,
    fail_fast: bool,
) -> (Comparison, Vec<String>) {
    let [a, b] = [a, b].map(|machine| Probed::new(DirectMachine::target("a machine", machine), Timeouts::default()));
    let folder = tempfile::tempdir().unwrap();
    let against = Against {
        a: a.context(),
        b: b.context(),
        names: ["one", "other"],
        jobs: 2,
        fail_fast,
        seed: 1,
        count,
        shard: None,
        folder: folder.path(),
        replay: ["{file}", "{file}"],
    };
    let found = against.run(|_| ()).unwrap();
    let files = found.differential.divergences.iter().map(|one| std::fs::read_to_string(&one.file).unwrap()).collect();
    (found, files)
}

fn blamed(side: &Side, requirement: &str) -> bool {
    side.findings.iter().any(|finding| finding.class == Class::Violation && finding.requirement == requirement)
}

fn find(found: &Differential, test: impl Fn(&Divergence) -> bool) -> usize {
    let at = found.divergences.iter().position(test);
    at.unwrap_or_else(|| panic!("not among {:#?}", found.divergences))
}

#[test]
fn a_server_does_not_part_from_itself() {
    let (found, _) = part(good, good, 500);
    assert_eq!(found.sequences, 500);
    // A machine that stands still for some time makes an answer late, once.
    assert_eq!((found.parted, found.alike, found.by_offer), (found.unsure, 0, 0), "{:#?}", found.divergences);
    assert!(found.offers.is_empty() && found.divergences.is_empty());
}

#[test]
fn a_map_that_should_be_refused_is_blamed_on_the_server_that_takes_it() {
    let (found, files) = part(good, maps_everything, 200);
    assert!(found.divergences.iter().all(|one| one.a.class() != Some(Class::Violation)), "{:#?}", found.divergences);
    let at = find(&found, |one| one.command == "DMA_MAP" && blamed(&one.b, "DMAP-05"));
    let overlap = &found.divergences[at];
    assert!(matches!(overlap.a.answered, Some(Answered::Error(_))), "{overlap:#?}");
    assert_eq!((overlap.b.answered, overlap.is_permitted()), (Some(Answered::Success), false));
    assert!(overlap.sequences > 1, "{}", overlap.sequences);
    let text = &files[at];
    assert!(text.contains("# A (one): ") && text.contains("this conforms") && text.contains("DMAP-05"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with('>')).count(), 2, "{text}");

    let (found, _) = part(maps_everything, good, 100);
    assert!(found.divergences.iter().any(|one| blamed(&one.a, "DMAP-05") && one.b.findings.is_empty()));
}

#[test]
fn a_field_of_a_reply_is_compared() {
    let (found, _) = part(good, unmaps_another_size, 100);
    let at = find(&found, |one| one.command == "DMA_UNMAP" && one.differs.as_deref() == Some("size"));
    let [a, b] = [&found.divergences[at].a, &found.divergences[at].b];
    assert_eq!((a.class(), b.class()), (None, Some(Class::Violation)));
}

#[test]
fn what_both_may_do_is_no_fault() {
    let (found, _) = part(good, leaves_at_the_unknown, 200);
    assert!(found.parted > 0, "{found:#?}");
    assert!(found.divergences.iter().all(Divergence::is_permitted), "{:#?}", found.divergences);
    assert!(found.divergences.iter().any(|one| one.b.answered == Some(Answered::Closed)), "{:#?}", found.divergences);
}

#[test]
fn fail_fast_stops_where_one_of_them_is_at_fault_and_nowhere_else() {
    let (found, _) = compared(good, leaves_at_the_unknown, 200, true);
    assert!(found.complete && !found.stopped && found.differential.parted > 0);
    assert_eq!(found.differential.sequences, 200);
    let (found, _) = compared(good, maps_everything, 200, true);
    assert!(found.stopped && found.differential.sequences < 200, "{}", found.differential.sequences);
    assert_eq!(found.differential.class(), Some(Class::Violation));
}

#[test]
fn fail_fast_does_not_stop_at_a_deadline_that_does_not_pass_again() {
    let bench = Bench::new(&[]);
    let (good, keep) = (server("good"), bench.word("kept"));
    let late = server(&format!("silent-once --on REGION_READ --marker {}", bench.word("marker")));
    let generate = ["--generate", "20", "--seed", "1", "--jobs", "1", "--keep", &keep, "--timeout", "300ms"];
    let against = ["run", "--spawn", &good, "--against", &late, "--fail-fast"];
    let ended = bench.program(&[&against[..], &generate].concat());
    ended.has_code(0).says("1 causes showed by a deadline alone and did not come back").says("20 sequences");
}

#[test]
fn the_program_says_that_a_server_does_not_part_from_itself() {
    let bench = Bench::new(&[]);
    let other = format!("{} reference-server", env!("CARGO_BIN_EXE_vfio-user-conformance"));
    let report = format!("json={}", bench.word("report.json"));
    let ended = bench.program(&["run", "--against", &other, "--generate", "20", "--seed", "3", "--report", &report]);
    ended.has_code(0).says("they do not part").says("Exit code 0: the servers do not part.");
    let found = &ended.report()["differential"];
    assert_eq!((found["sequences"].as_u64(), found["divergences"].as_array().map(Vec::len)), (Some(20), Some(0)));
}

#[test]
fn the_program_tells_where_two_servers_part_and_whose_fault_it_is() {
    let bench = Bench::new(&[]);
    let (good, bad) = (server("good"), server("panics --on REGION_READ"));
    let (keep, report) = (bench.word("kept"), format!("json={}", bench.word("report.json")));
    let arguments = [
        "run",
        "--spawn",
        &good,
        "--against",
        &bad,
        "--generate",
        "40",
        "--seed",
        "1",
        "--keep",
        &keep,
        "--report",
        &report,
    ];
    let ended = bench.program(&arguments);
    ended.has_code(2).says("A refuses, B crashes").says("this conforms").says("the servers part, and B violates");
    let divergences = ended.report()["differential"]["divergences"].as_array().unwrap();
    let crashes = |one: &&serde_json::Value| one["b"]["answered"] == "crashed" && one["command"] == "REGION_READ";
    let crash = divergences.iter().find(crashes).unwrap();
    assert_eq!(crash["sent"]["message"], "REGION_READ");
    for one in divergences {
        bench.program(&["check", one["file"].as_str().unwrap()]).has_code(0);
    }
    // The file shows the same to whoever plays it again.
    let file = crash["file"].as_str().unwrap();
    let requirement = crash["b"]["findings"][0]["requirement"].as_str().unwrap();
    bench.program(&["replay", file, "--spawn", &bad]).has_code(2).says(requirement);
    bench.program(&["replay", file, "--spawn", &good]).has_code(0);
}

#[test]
fn a_server_to_compare_with_must_start() {
    let bench = Bench::new(&[]);
    let good = server("good");
    let run = |against: &str| bench.program(&["run", "--spawn", &good, "--against", against]);
    run("/nowhere/at-all").has_code(4).says("--against: could not start `/nowhere/at-all`");
    run("'unclosed").has_code(1).says("--against");
    bench.program(&["run", "--spawn", &good, "--against", &good, "dma-map.*"]).has_code(1);
}
