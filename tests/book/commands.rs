//! What the commands of the pages do, and which are not run and why.

use std::path::Path;

use libtest_mimic::Failed;
use snapbox::{Assert, IntoData};

use crate::page::{Command, Page};
use crate::stage::{Programs, Stage};
use crate::told;

const BUILDS: &str = "it builds programs";
const HOURS: &str = "it takes hours, or builds programs";

const WHOLE_RUN: &str = "it is a whole run more, or needs one: tests/program/certify.rs has them";
const SIGNS: &str = "it signs with somebody's key";

/// Pages that go through services which are not here.
const NOT_HERE: &[(&str, &str)] =
    &[("docs/ci-templates.md", "tests/program/templates.rs runs what stands in the templates, and what is made of it")];

/// What is not run, without the comment behind it, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo install --path . --locked", BUILDS),
    ("cargo install vfio_user --version 0.1.7 --example gpio", BUILDS),
    ("cargo test --workspace", "this is one of those tests"),
    ("cargo test --test conformance", BUILDS),
    ("cargo test --test conformance -- dma-map", BUILDS),
    ("cargo test --test conformance -- --exact header.split/3", BUILDS),
    ("cargo nextest run --test conformance", BUILDS),
    ("VFIO_USER_CONFORMANCE_SPAWN='my-server --socket-path {socket}' cargo test --test conformance -- dma-map", BUILDS),
    ("VFIO_USER_CONFORMANCE_SPAWN='other-server --socket-path {socket}' cargo test --test conformance", BUILDS),
    ("cargo test --test liberties", BUILDS),
    ("cargo test --test liberties -- no-descriptors-at-all", BUILDS),
    ("cargo test --test liberties -- --ignored", BUILDS),
    ("cargo test --test html_report", BUILDS),
    ("GPIO=gpio cargo test --test book -- gpio", BUILDS),
    ("ci/axe", "it fetches from a registry"),
    ("ci/fuzz 450", HOURS),
    ("ci/fuzz 600 case_language", HOURS),
    ("ci/hostile 1000000", HOURS),
    ("ci/mutants server", HOURS),
    ("ci/mutants harness", HOURS),
    ("ci/mutants server --shard 3/8 --sharding round-robin", HOURS),
    ("ci/steady", HOURS),
    ("ci/steady 20 --profile v8", HOURS),
    ("vfio-user-conformance certify --profile 0.9.2 --bundle reference-server", WHOLE_RUN),
    (
        "vfio-user-conformance certify --profile 0.9.2 --spawn ./my-server --name my-server --server-version 1.4.0 --bundle my-server-1.4.0",
        WHOLE_RUN,
    ),
    ("vfio-user-conformance verify my-server-1.4.0", WHOLE_RUN),
    (
        "vfio-user-conformance verify conformance --again --spawn './my-server --socket-path {socket}' --device conformance/device.toml",
        WHOLE_RUN,
    ),
    ("minisign -S -m conformance/manifest.json -x manifest.json.minisig", SIGNS),
    ("gpg --detach-sign --armor --output manifest.json.asc conformance/manifest.json", SIGNS),
    ("cosign sign-blob --bundle manifest.json.sigstore.json conformance/manifest.json", SIGNS),
    ("tshark -X lua_script:vfio_user.lua -r found.pcapng", "tests/wireshark.rs does it, where tshark is installed"),
];

/// Commands without printed output that end otherwise than with 0, and why.
const ENDS: &[(&str, i32, &str)] = &[
    ("cargo run --release -- run --spawn 'gpio --socket-path {socket}'", 2, "gpio has faults"),
    ("cargo run --release -- run --spawn 'gpio --socket-path {socket}' 'dma-map.*' HDR-10", 2, "gpio has faults"),
    ("cargo run --release -- run --spawn 'gpio --socket-path {socket}' --failed", 2, "gpio has faults"),
    ("cargo run --release -- run --spawn 'gpio --socket-path {socket}' --generate 500", 2, "gpio has faults"),
];

/// What is there before a page's commands are run.
const BEFORE: &[(&str, &str)] = &[
    ("README.md", "vfio-user-conformance run --spawn ./my-server --shard 2/3 --report json=2.json"),
    ("README.md", "vfio-user-conformance run --spawn ./my-server --shard 3/3 --report json=3.json"),
    ("README.md", "vfio-user-conformance run 'info.*' --report json=old.json; cp old.json new.json"),
    ("docs/merge-and-compare.md", "vfio-user-conformance run 'info.*' --report json=gpio.json"),
    ("docs/merge-and-compare.md", "cp gpio.json spdk.json; cp gpio.json a.json; cp gpio.json b.json"),
    (
        "docs/certification.md",
        "vfio-user-conformance probe --spawn './my-server --socket-path {socket}' --device-template > my-device.toml",
    ),
    (
        "docs/generate.md",
        "mkdir vfio-user-conformance-generated
cat > vfio-user-conformance-generated/generated.dmap-05.case <<'END'
case generated.dmap-05
> DMA_MAP address=0x8000 size=0x1000
< ok
> DMA_MAP address=0x5000 size=0x4000
< error EEXIST                                          [DMAP-05]
END",
    ),
];

/// Runs a page's commands in order in one folder, each as printed.
pub(crate) fn hold(page: &Page, programs: &Programs, of_gpio: bool) -> Result<(), Failed> {
    told(differences(page, programs, of_gpio).into_iter())
}

fn differences(page: &Page, programs: &Programs, of_gpio: bool) -> Vec<String> {
    let stage = Stage::new(programs);
    for (_, text) in BEFORE.iter().filter(|(path, _)| *path == page.path && !of_gpio) {
        let ended = stage.run(text, 0, text.contains("--shard"), &[]).unwrap();
        assert!(ended.status.success(), "{}: {text}: {}", page.path, ended.output);
    }
    let mut complaints = Vec::new();
    let commands: Vec<Command> = page.commands(of_gpio).filter(|command| not_run(command).is_none()).collect();
    let mut before = 0;
    for (n, command) in commands.iter().enumerate() {
        let mut complain =
            |what: &str| complaints.push(format!("{}:{}: {}\n{what}", page.path, command.line, command.text));
        let ended = match played(&stage, command, before) {
            Ok(ended) => ended,
            Err(error) => {
                complain(&error.to_string());
                continue;
            }
        };
        let (status, output) = (ended.status, &ended.output);
        if let Some(expected) = &command.output {
            let assert = Assert::new();
            let (expected, actual) = (without_times(expected), without_times(output));
            if let Err(difference) = assert.try_eq(None, actual.into_data(), expected.into_data()) {
                complain(&difference.to_string());
            }
        }
        let shows_status = commands.get(n + 1).is_some_and(|next| next.text == "echo $?");
        match status.code() {
            None => complain(&format!("it ended with {status}")),
            Some(code) if code != ends(command) && !shows_status => {
                complain(&format!("it ended with {code}, not {}:\n{output}", ends(command)));
            }
            Some(_) => {}
        }
        before = status.code().unwrap_or(128);
    }
    complaints
}

/// A command without printed output is played with few cases and sequences: how many there are does not change what it does.
fn played(stage: &Stage<'_>, command: &Command, before: i32) -> std::io::Result<crate::stage::Ended> {
    if command.output.is_some() {
        return stage.run(&command.text, before, false, &[]);
    }
    let mut words: Vec<&str> = command.text.split(' ').collect();
    if let Some(at) = words.iter().position(|word| *word == "--generate") {
        words[at + 1] = "20";
    }
    let is_against = words.contains(&"--against");
    let sequences = [("VFIO_USER_CONFORMANCE_GENERATE", "20")];
    let few_cases = words.contains(&"run") && !is_against;
    stage.run(&words.join(" "), before, few_cases, if is_against { &sequences } else { &[] })
}

/// Why none of a page's commands is run, where that is so.
pub(crate) fn not_here(page: &Page) -> Option<&'static str> {
    NOT_HERE.iter().find(|(path, _)| *path == page.path).map(|(_, why)| *why)
}

fn not_run(command: &Command) -> Option<&'static str> {
    let entry = NOT_RUN.iter().find(|(text, _)| *text == command.text && command.output.is_none());
    entry.map(|(_, why)| *why)
}

/// The exit code that is expected: what is printed says it, or the list above.
fn ends(command: &Command) -> i32 {
    match &command.output {
        Some(output) => {
            let said = output.lines().find_map(|line| line.strip_prefix("Exit code ")?.split(':').next()?.parse().ok());
            said.unwrap_or(0)
        }
        None => ENDS.iter().find(|(text, _, _)| *text == command.text).map_or(0, |(_, code, _)| *code),
    }
}

/// How long a run took is no difference.
fn without_times(text: &str) -> String {
    let timeless = |line: &str| match line.split_once(" in ").map(|(head, tail)| (head, tail.split_once(" s: "))) {
        Some((head, Some((time, tail)))) if time.parse::<f64>().is_ok() => format!("{head} in a time: {tail}"),
        _ => line.trim_end().to_owned(),
    };
    let lines: Vec<String> = text.trim_end().lines().map(timeless).collect();
    lines.join("\n") + "\n"
}

/// Whatever stands in a list above stands in a page, and what it names in the repository.
pub(crate) fn exceptions_are_there() -> Result<(), Failed> {
    let pages = Page::all();
    let commands: Vec<Command> = pages.iter().flat_map(|page| page.commands(false)).collect();
    let alone: Vec<&str> =
        commands.iter().filter(|command| command.output.is_none()).map(|c| c.text.as_str()).collect();
    let listed = NOT_RUN.iter().map(|(text, _)| *text).chain(ENDS.iter().map(|(text, _, _)| *text));
    let idle = listed.filter(|text| !alone.contains(text)).map(|text| format!("no page has `{text}` any more"));
    let idle_pages = BEFORE.iter().chain(NOT_HERE).filter(|(path, _)| !pages.iter().any(|page| page.path == *path));
    let files = NOT_RUN.iter().filter_map(|(text, _)| {
        let mut words = text.split(' ');
        match words.clone().next()? {
            script if script.starts_with("ci/") => Some(vec![script.to_owned()]),
            _ => {
                words.find(|word| *word == "--test")?;
                let test = words.next()?;
                Some(vec![format!("tests/{test}.rs"), format!("tests/{test}/main.rs")])
            }
        }
    });
    let missing = files.filter(|any| !any.iter().any(|file| Path::new(&Page::path(file)).exists()));
    told(
        idle.chain(idle_pages.map(|(path, _)| format!("there is no {path} any more")))
            .chain(missing.map(|any| format!("there is no {}", any.join(" or ")))),
    )
}

/// The comparison above, on pages that are wrong.
pub(crate) fn differences_are_found(programs: &Programs) -> Result<(), Failed> {
    let count = |text: &str| differences(&Page::of("docs/x.md", text), programs, false).len();
    let right = [
        "```console\n$ echo a; echo b >&2\na\nb\n```",
        "```console\n$ seq 5\n1\n...\n5\n```",
        "```console\n$ echo 'ends in 1.5 s: well'\nends in 0.3 s: well\n$ echo 'at 77'\nat [..]\n```",
        "```console\n$ sh -c 'exit 3'\n$ echo $?\n3\n```",
        "```console\n$ sh -c 'echo Exit code 2: it is so; exit 2'\nExit code 2: it is so\n```",
        "```sh\ntrue   # a comment\n```\n\n```text\nwhatever\n```",
        "```sh\nci/steady\ncargo run --release -- explain DMAP-05\n./my-server --help\n```",
    ];
    for text in right {
        assert_eq!(count(text), 0, "{text}");
    }
    let wrong = [
        "```console\n$ echo a\nb\n```",
        "```console\n$ echo a; echo b\na\n```",
        "```console\n$ echo a\na\nb\n```",
        "```console\n$ echo 'ends in 1.5 s: well'\nends in 0.3 s: badly\n```",
        "```console\n$ sh -c 'exit 3'\n$ echo $?\n4\n```",
        "```console\n$ sh -c 'echo a; exit 1'\na\n```",
        "```console\n$ sh -c 'echo Exit code 2: it is so'\nExit code 2: it is so\n```",
        "```sh\nfalse\n```",
        "```sh\nno-such-program\n```",
        "```sh\ncargo build\n```",
    ];
    for text in wrong {
        assert_eq!(count(text), 1, "{text}");
    }
    Ok(())
}
