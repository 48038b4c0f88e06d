//! The same verdicts of a server that takes its time as of a quick one: it takes up to 80% of the deadline for each answer
//! (`examples/slow-server.rs`), and as long to accept a client, and to notice that one has left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

mod support;

use std::collections::BTreeMap;
use std::thread;

use serde_json::Value;
use support::{Bench, example};

const DEVICE: &str = include_str!("../fixtures/devices/conformance.toml");

/// Those that lean on deadlines most: what is awaited and must come, what must not come, and what one server, client or
/// socket has to be done with before the next.
const CHOSEN: [&str; 24] = [
    "disconnect.half-closed-first",
    "disconnect.irq-descriptors-mask",
    "disconnect.killed",
    "disconnect.map-descriptors/*",
    "disconnect.next",
    "dma-map.short-file",
    "dma-read.command",
    "dma-write.held",
    "dma-write.mappable",
    "dma-write.reply-lost/main",
    "header.type-reply",
    "mig-data.source",
    "migration.restored",
    "no-reply.map-fails",
    "no-reply.unmap",
    "order.posted-map",
    "program.fd",
    "program.sigterm-idle",
    "reset.posted-writes",
    "security.noise/8",
    "set-irqs.disable-closes",
    "set-irqs.raise-full",
    "socket.second-client",
    "twin.dma-write",
];

/// The ways of being slow: the whole delay, or by a seed a part of it that differs from answer to answer, before a command
/// is carried out or after that.
const WAYS: [&str; 3] = ["--when before", "--when after", "--when both --seed 1"];

/// What a run says: by case, its result with the reason and the findings; by requirement, its status.
type Verdicts = BTreeMap<String, String>;

/// Plays cases against the server with that delay in milliseconds, `timeout` being as many.
fn verdicts(profile: &str, delay: u64, timeout: u64, way: &str, cases: &[String]) -> (Verdicts, Value) {
    let bench = Bench::new(&[]);
    let (device, report) = (bench.write("device.toml", DEVICE), bench.word("report.json"));
    let server = format!("{} --delay {delay} {way} --profile {profile}", example("slow-server"));
    let (report, timeout) = (format!("json={report}"), format!("{timeout}ms"));
    let mut words = vec!["run", "--spawn", &server, "--device", &device, "--report", &report, "--profile", profile];
    // All side by side: they wait.
    words.extend(["--timeout", &timeout, "--jobs", "100"]);
    words.extend(cases.iter().map(String::as_str));
    let ended = bench.program(&words);
    let report = ended.report().clone();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let cases = list(&report["cases"]).into_iter().map(|case| {
        let found = list(&case["findings"]).into_iter();
        let found = found.map(|found| format!("{} {}: {}", found["class"], found["requirement"], found["actual"]));
        let said =
            format!("{} {} {}", text(&case["result"]), text(&case["reason"]), found.collect::<Vec<_>>().join("; "));
        (text(&case["name"]), said)
    });
    let requirements = report["requirements"].as_object().unwrap().iter();
    let requirements = requirements.map(|(id, status)| (id.clone(), text(&status["status"])));
    (cases.chain(requirements).collect(), report)
}

/// What is otherwise of the slow server. Of that the cases are played once more with more time: the machine may have had
/// better things to do than to keep to the fifth of a second that is left.
fn differing(profile: &str, quick: &Verdicts, way: &str, cases: &[String]) -> Vec<String> {
    let of = |timeout: u64, cases: &[String]| -> BTreeMap<String, String> {
        let (slow, _) = verdicts(profile, timeout * 8 / 10, timeout, way, cases);
        let differs = slow.iter().filter(|(name, said)| quick.get(*name) != Some(*said));
        differs.map(|(name, said)| (name.clone(), format!("{:?} became {said:?}", quick.get(name)))).collect()
    };
    let at_once = of(1000, cases);
    for (name, said) in &at_once {
        eprintln!("{way}: once more: {name}: {said}");
    }
    // The status of a requirement is that of its cases.
    let again: Vec<String> = at_once.keys().filter(|name| name.contains('.')).map(|name| glob_escaped(name)).collect();
    if again.is_empty() {
        return at_once.into_iter().map(|(name, said)| format!("{way}: {name}: {said}")).collect();
    }
    let still = of(3000, &again).into_iter().filter(|(name, _)| at_once.contains_key(name) && name.contains('.'));
    still.map(|(name, said)| format!("{way}: {name}: {said}")).collect()
}

#[test]
fn chosen_cases_end_the_same() {
    let cases = CHOSEN.map(str::to_owned);
    let (quick, report) = verdicts("0.9.2", 0, 5000, "", &cases);
    for case in report["cases"].as_array().unwrap() {
        assert_eq!(case["result"], "pass", "{case:#}");
    }
    assert!(report["cases"].as_array().unwrap().len() >= CHOSEN.len());
    let differing = thread::scope(|scope| {
        let runs = WAYS.map(|way| {
            let (quick, cases) = (&quick, &cases);
            scope.spawn(move || differing("0.9.2", quick, way, cases))
        });
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// No case with more messages than this: one after the other, each would be late.
const MOST_MESSAGES: usize = 100;

#[test]
#[ignore = "every case of every version; it takes a quarter of an hour"]
fn every_case_ends_the_same() {
    let mut differing = Vec::new();
    for profile in ["0.9.2", "0.9.1", "v8c", "v8"] {
        let (_, report) = verdicts(profile, 0, 5000, "", &[]);
        let (short, long): (Vec<&Value>, Vec<&Value>) = report["cases"]
            .as_array()
            .unwrap()
            .iter()
            .partition(|case| case["transcript"].as_array().unwrap().len() <= MOST_MESSAGES);
        let name = |case: &&Value| case["name"].as_str().unwrap().to_owned();
        eprintln!("{profile}: without {}", long.iter().map(name).collect::<Vec<_>>().join(", "));
        let cases: Vec<String> = short.iter().map(name).map(|name| glob_escaped(&name)).collect();
        let (quick, _) = verdicts(profile, 0, 5000, "", &cases);
        for way in WAYS {
            differing.extend(self::differing(profile, &quick, way, &cases));
        }
    }
    assert!(differing.is_empty(), "{} differ\n{}", differing.len(), differing.join("\n"));
}

/// A case's name as a filter that means just it.
fn glob_escaped(name: &str) -> String {
    name.chars().map(|c| if "*?[]{}\\".contains(c) { format!("[{c}]") } else { c.to_string() }).collect()
}
