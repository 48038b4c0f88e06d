//! `certify` and `verify`: what is certified, what is refused, and that nothing in a bundle can be changed unseen.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{Bench, Ended, Moment, server};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A bundle of the bundled reference server, made once: its folder, and what was told.
fn good() -> &'static (TempDir, String) {
    static GOOD: OnceLock<(TempDir, String)> = OnceLock::new();
    GOOD.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program();
        // Each would change what `run` plays, how it judges or whom.
        let hostile = [
            ("CASES", "/nonexistent"),
            ("EXPECT", "/nonexistent"),
            ("GENERATE", "0"),
            ("JOBS", "1"),
            ("PROFILE", "v8"),
            ("SEED", "77"),
            ("SHARD", "1/2"),
            ("SOCKET", "/nonexistent"),
            ("SPAWN", "false"),
            ("STRICT", "true"),
            ("TIMEOUT", "60m"),
        ];
        command.envs(hostile.map(|(name, value)| (format!("VFIO_USER_CONFORMANCE_{name}"), value)));
        let bundle = folder.path().join("bundle");
        let output = command.args(["certify", "--profile", "0.9.2", "--bundle"]).arg(&bundle).output().unwrap();
        let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert_eq!(output.status.code(), Some(0), "{told}");
        (folder, told)
    })
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vfio-user-conformance"));
    command.env("NO_COLOR", "1").env("XDG_STATE_HOME", good_state());
    command
}

/// Runs the program, however long that takes: a whole run may take minutes on a busy machine. Its code, and what was told.
fn whole(arguments: &[&str]) -> (i32, String) {
    let mut command = program();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("VFIO_USER_CONFORMANCE_") {
            command.env_remove(name);
        }
    }
    // Sequences that fail are written to the folder that it is started in.
    let output = command.current_dir(good_state()).args(arguments).output().unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.code().unwrap(), told)
}

fn good_state() -> &'static Path {
    static STATE: OnceLock<TempDir> = OnceLock::new();
    STATE.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// A copy of the good bundle, to be tampered with.
struct Copy {
    bench: Bench,
    folder: PathBuf,
}

impl Copy {
    fn new() -> Copy {
        let bench = Bench::new(&[]);
        let folder = bench.path("bundle");
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(good().0.path().join("bundle")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        Copy { bench, folder }
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.folder.join(name)).unwrap()).unwrap()
    }

    /// Changes a document; with `cunning`, its digest in the manifest as well.
    fn alter(&self, name: &str, cunning: bool, change: impl FnOnce(&mut Value)) -> &Copy {
        let mut document = self.json(name);
        change(&mut document);
        fs::write(self.folder.join(name), format!("{document:#}\n")).unwrap();
        if cunning && name != "manifest.json" {
            self.digest(name);
        }
        self
    }

    /// Puts the digest that a file now has into the manifest, as sha256sum gives it.
    fn digest(&self, name: &str) {
        let path = self.folder.join(name);
        let sum = Command::new("sha256sum").arg(&path).output().unwrap().stdout;
        let sha256 = String::from_utf8(sum).unwrap().split_whitespace().next().unwrap().to_owned();
        let bytes = fs::metadata(&path).unwrap().len();
        self.alter("manifest.json", false, |manifest| {
            manifest["files"][name] = json!({"bytes": bytes, "sha256": sha256});
        });
    }

    fn verify(&self) -> Ended {
        self.bench.program(&["verify", self.folder.to_str().unwrap()])
    }

    /// It is told, nothing is said to be certified, and no terminal is steered.
    #[track_caller]
    fn is_refused(&self, why: &str) {
        let ended = self.verify();
        ended.has_code(1).says("certifies nothing:").says(why);
        assert_eq!(ended.stdout, "");
        assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    }
}

fn case<'r>(report: &'r mut Value, name: &str) -> &'r mut Value {
    let cases = report["cases"].as_array_mut().unwrap();
    cases.iter_mut().find(|case| case["name"] == name).unwrap()
}

/// The name of the first case of which this holds.
fn first(report: &Value, holds: impl Fn(&Value) -> bool) -> String {
    let found = report["cases"].as_array().unwrap().iter().find(|case| holds(case)).unwrap();
    found["name"].as_str().unwrap().to_owned()
}

#[test]
fn the_reference_server_is_certified_whatever_the_environment_says() {
    let (_, told) = good();
    assert!(told.contains("Certified, strict: vfio-user-conformance reference-server"), "{told}");
    assert!(
        told.contains("certify takes nothing from the environment; not heeded: VFIO_USER_CONFORMANCE_CASES"),
        "{told}"
    );
    let copy = Copy::new();
    let (report, manifest) = (copy.json("report.json"), copy.json("manifest.json"));
    // `list` says which cases there are.
    let list = copy.bench.program(&["list", "--profile", "0.9.2"]);
    let all: BTreeSet<&str> = list.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let names: Vec<&str> =
        report["cases"].as_array().unwrap().iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert!(names.len() > 1000 && names.iter().all(|name| all.contains(name)), "{}", names.len());
    assert_eq!(report["totals"]["selected"], names.len());
    assert_eq!(report["generated"]["sequences"], 200);
    assert_eq!(
        (&report["seed"], &report["shard"], &report["profile"]["used"]),
        (&json!(1), &Value::Null, &json!("0.9.2"))
    );
    assert_eq!(report["strict"], false);
    assert_eq!(
        manifest["settings"],
        json!({"timeout": "2s", "sequences": 200, "seed": 1, "strict": false, "one_at_a_time": false})
    );
    // What was skipped is told with its reason, and how often.
    let skipped = manifest["coverage"]["skipped"].as_object().unwrap();
    let sum: u64 = skipped.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(json!(sum), report["totals"]["skip"]);
    assert!(skipped.contains_key("the target takes DMA maps"), "{skipped:?}");
    assert!(!manifest["coverage"]["not_exercised"].as_object().unwrap().is_empty());
    let badge = copy.json("badge.json");
    assert_eq!((&badge["schemaVersion"], &badge["label"]), (&json!(1), &json!("vfio-user 0.9.2")));
    assert!(badge["message"].as_str().unwrap().starts_with("strict, "), "{badge}");
    let program = fs::read(env!("CARGO_BIN_EXE_vfio-user-conformance")).unwrap();
    copy.bench.write("program", "");
    fs::write(copy.bench.path("program"), program).unwrap();
    let sum = Command::new("sha256sum").arg(copy.bench.path("program")).output().unwrap().stdout;
    let sum = String::from_utf8(sum).unwrap();
    assert_eq!(manifest["server"]["program"]["sha256"], sum.split_whitespace().next().unwrap());
    let ended = copy.verify();
    ended.has_code(0).says("Certified, strict: vfio-user-conformance reference-server").says("It is not signed");
    assert!(!ended.stdout.contains("NOT CHECKED"), "{}", ended.stdout);
}

#[test]
fn every_file_that_is_edited_added_removed_or_cut_short_is_told() {
    let copy = Copy::new();
    copy.alter("report.json", false, |report| report["command"] = json!(["x"]));
    copy.is_refused("`report.json` has ");
    for name in ["report.json", "report.html", "badge.json", "device.toml"] {
        let copy = Copy::new();
        let mut bytes = fs::read(copy.folder.join(name)).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        fs::write(copy.folder.join(name), &bytes).unwrap();
        copy.is_refused(&format!("`{name}` was changed: its SHA-256 is "));
        fs::write(copy.folder.join(name), &bytes[..last]).unwrap();
        copy.is_refused(&format!("`{name}` has {last} bytes, and "));
        fs::remove_file(copy.folder.join(name)).unwrap();
        copy.is_refused(&format!("`{name}` is in the manifest, and not in the folder"));
    }
    let copy = Copy::new();
    fs::write(copy.folder.join("more\u{1b}[2J.txt"), "").unwrap();
    copy.is_refused("`more\\u{1b}[2J.txt` is in the folder, and not in the manifest");
    let copy = Copy::new();
    fs::remove_file(copy.folder.join("manifest.json")).unwrap();
    copy.is_refused("is this the folder of a bundle?");
    let copy = Copy::new();
    let text = fs::read_to_string(copy.folder.join("manifest.json")).unwrap();
    fs::write(copy.folder.join("manifest.json"), &text[..text.len() / 2]).unwrap();
    copy.is_refused("manifest.json is no manifest of `certify`: EOF");
    copy.bench.program(&["verify", "/nonexistent"]).has_code(1).says("No such file");
}

#[test]
fn nothing_outside_of_the_folder_is_opened_and_nothing_huge_is_read() {
    let digest = json!({"bytes": 5, "sha256": "0".repeat(64)});
    for name in ["../secret", "/etc/passwd", "generated/../../secret.case", "manifest.json", "x\u{1b}[2J"] {
        let copy = Copy::new();
        copy.bench.write("secret", "12345");
        copy.alter("manifest.json", false, |manifest| manifest["files"][name] = digest.clone());
        copy.is_refused("and no bundle has a file of that name");
    }
    let copy = Copy::new();
    let outside = copy.bench.write("outside.json", &fs::read_to_string(copy.folder.join("report.json")).unwrap());
    fs::remove_file(copy.folder.join("report.json")).unwrap();
    symlink(&outside, copy.folder.join("report.json")).unwrap();
    copy.is_refused("`report.json` is a symbolic link");
    let copy = Copy::new();
    let folder = copy.bench.path("elsewhere");
    fs::create_dir(&folder).unwrap();
    symlink(&folder, copy.folder.join("generated")).unwrap();
    copy.is_refused("`generated` is a symbolic link");
    let copy = Copy::new();
    fs::rename(copy.folder.join("manifest.json"), copy.bench.path("manifest.json")).unwrap();
    symlink(copy.bench.path("manifest.json"), copy.folder.join("manifest.json")).unwrap();
    copy.is_refused("could not read ");
    // A hole takes no room on the disk.
    for (name, most) in [("report.json", 1u64 << 30), ("badge.json", 1 << 20)] {
        let copy = Copy::new();
        fs::File::create(copy.folder.join(name)).unwrap().set_len(most + 1).unwrap();
        copy.alter("manifest.json", false, |manifest| manifest["files"][name]["bytes"] = json!(most + 1));
        copy.is_refused(&format!("`{name}` has {} bytes, and no such file has more than {most}", most + 1));
    }
    let copy = Copy::new();
    fs::File::create(copy.folder.join("manifest.json")).unwrap().set_len((16 << 20) + 1).unwrap();
    copy.is_refused("it has more than 16777216 bytes");
}

#[test]
fn a_report_that_was_edited_with_its_digest_is_told_by_what_it_says() {
    let report = Copy::new().json("report.json");
    let passes = first(&report, |case| case["result"] == "pass");
    let skips = first(&report, |case| case["result"] == "skip" && case["attempts"] == json!([]));
    let cunning = |change: &dyn Fn(&mut Value)| {
        let copy = Copy::new();
        copy.alter("report.json", true, change);
        copy
    };
    cunning(&|report| case(report, &passes)["result"] = json!("fail"))
        .is_refused(&format!("{passes} failed, and has no violation"));
    cunning(&|report| {
        let check = &mut case(report, &passes)["checks"];
        *check = json!([{"requirement": "HDR-01", "line": 1, "said": "violated"}]);
    })
    .is_refused(&format!("{passes} passed, and has a violation"));
    // A case that would have failed is left out, and the counts are made to fit.
    cunning(&|report| {
        report["cases"].as_array_mut().unwrap().retain(|case| case["name"] != json!(passes));
        for count in ["pass", "selected"] {
            report["totals"][count] = json!(report["totals"][count].as_u64().unwrap() - 1);
        }
    })
    .is_refused(&format!("{passes} is missing"));
    // A crash is a violation, whatever the result says of it.
    cunning(&|report| case(report, &passes)["attempts"][0]["outcome"] = json!("crashed"))
        .is_refused(&format!("{passes} passed, and the server crashed in it"));
    cunning(&|report| case(report, &passes)["attempts"][0]["exit"] = json!({"signal": 11}))
        .is_refused(&format!("{passes} passed, and the server ended by signal SIGSEGV, which the case does not send"));
    cunning(&|report| report["generated"]["answered"] = json!(0))
        .is_refused("the report comes to refused (no message of the 200 sequences was answered)");
    cunning(&|report| report["totals"]["skip"] = json!(0))
        .is_refused("the totals of the report are not those of its cases");
    // What a server does not offer is said to have been played.
    cunning(&|report| {
        let attempts = json!([{"outcome": "answered", "exit": null, "seconds": 0.1}]);
        let case = case(report, &skips);
        (case["result"], case["reason"], case["attempts"]) = (json!("pass"), Value::Null, attempts);
    })
    .is_refused(&format!("{skips} does not apply to what the server offers"));
    // What it offers is skipped.
    cunning(&|report| {
        let case = case(report, &passes);
        (case["result"], case["reason"], case["attempts"]) = (json!("skip"), json!("busy"), json!([]));
    })
    .is_refused(&format!("{passes} applies to what the server offers, and was skipped"));
    cunning(&|report| report["requirements"]["MIGFSM-01"]["status"] = json!("observed"))
        .is_refused("the status of the requirements is not what the cases come to");
    cunning(&|report| report["complete"] = json!(false)).is_refused("the run did not come to its end");
    cunning(&|report| report["faults"] = json!(["interrupted \u{1b}[2J"])).is_refused("interrupted \\u{1b}[2J");
    cunning(&|report| report["cases"][0]["name"] = json!("\u{1b}]0;title"))
        .is_refused("with characters that no name has");
    cunning(&|report| report["harness"]["register_sha256"] = json!("0".repeat(64)))
        .is_refused("the manifest has another harness than the report");
    cunning(&|report| report["target"]["how"] = json!("another-server")).is_refused("report.html is not the page of");
    let copy = Copy::new();
    fs::write(copy.folder.join("report.json"), "{\"schema\": \"9\"}").unwrap();
    copy.digest("report.json");
    copy.is_refused("is a report of schema \"9\"");
}

#[test]
fn a_manifest_or_badge_that_claims_something_else_is_told() {
    let claims: &[(&str, Value, &str)] = &[
        ("/verdict", json!({"certified": "conforming"}), "the manifest says certified, conforming"),
        ("/verdict", json!({"refused": []}), "and the report comes to certified, strict"),
        ("/verdict", json!("certified"), "manifest.json is no manifest"),
        ("/schema", json!("2"), "manifest.json is of schema \"2\""),
        ("/profile", json!("0.9.1"), "another version of the protocol than the report"),
        ("/coverage/skipped", json!({}), "another coverage than the report"),
        ("/coverage/not_exercised", json!({}), "another coverage than the report"),
        ("/settings/sequences", json!(10), "10 sequences of seed 1 were to be played, and 200 of seed 1 were"),
        ("/settings/timeout", json!("\u{1b}"), "`\\u{1b}` is no timeout"),
        ("/settings/timeout", json!("60s"), "another deadline than the report"),
        ("/settings/one_at_a_time", json!(true), "another `one_at_a_time` than the report"),
        ("/command", json!(["rm"]), "another command than the report"),
        ("/harness/version", json!("0.0.9"), "another harness than the report"),
        ("/server/name", json!(""), "the name of the server is none: there is nothing in it"),
        (
            "/server/version",
            json!("1\u{1b}[2J"),
            "the version of the server is none: it has characters that would steer",
        ),
    ];
    for (place, value, why) in claims {
        let copy = Copy::new();
        copy.alter("manifest.json", false, |manifest| *manifest.pointer_mut(place).unwrap() = value.clone());
        copy.is_refused(why);
    }
    let copy = Copy::new();
    copy.alter("badge.json", true, |badge| badge["message"] = json!("strict, 440 of 440 requirements"));
    copy.is_refused("badge.json does not say what the manifest says");
    let copy = Copy::new();
    fs::remove_file(copy.folder.join("badge.json")).unwrap();
    copy.alter("manifest.json", false, |manifest| {
        drop(manifest["files"].as_object_mut().unwrap().remove("badge.json"))
    });
    copy.is_refused("the manifest does not name badge.json");
}

#[test]
fn files_that_the_run_did_not_leave_are_told_whatever_their_digests() {
    let copy = Copy::new();
    fs::create_dir(copy.folder.join("generated")).unwrap();
    fs::write(copy.folder.join("generated/x.case"), "case x\n").unwrap();
    copy.digest("generated/x.case");
    copy.is_refused("`generated/x.case` is of no case of the report");
    let copy = Copy::new();
    fs::write(copy.folder.join("device.toml"), "scratch = [").unwrap();
    copy.digest("device.toml");
    copy.is_refused("device.toml");
    let copy = Copy::new();
    fs::remove_file(copy.folder.join("device.toml")).unwrap();
    copy.alter("manifest.json", false, |manifest| {
        drop(manifest["files"].as_object_mut().unwrap().remove("device.toml"))
    });
    copy.is_refused("by the report the run had a device file, and there is no `device.toml`");
    let copy = Copy::new();
    let url = json!("javascript:alert(1)");
    copy.alter("manifest.json", false, |manifest| manifest["server"]["url"] = url);
    copy.is_refused("the URL of the server is none: a URL begins with https:// or http://");
}

#[test]
fn other_cases_under_the_same_version_are_told_and_of_another_version_what_is_not_checked() {
    let harness = |field: &str, value: &str| {
        let copy = Copy::new();
        copy.alter("report.json", true, |report| report["harness"][field] = json!(value));
        copy.alter("manifest.json", false, |manifest| manifest["harness"][field] = json!(value));
        copy
    };
    let zeros = "0".repeat(64);
    harness("register_sha256", &zeros).is_refused("it was judged by another register of requirements than");
    harness("cases_sha256", &zeros).is_refused("it was judged by another cases than");
    let ended = harness("version", "99.0.0").verify();
    ended.has_code(3).says("NOT CHECKED: vfio-user-conformance 99.0.0 judged, and this is");
    assert!(ended.stdout.starts_with("Not checked, and by its own words certified, strict: "), "{}", ended.stdout);
}

#[test]
fn a_server_that_breaks_requirements_is_refused_and_its_bundle_says_so() {
    let bench = Bench::new(&[]);
    let bundle = bench.word("refused");
    let command = server("wrong-id");
    let arguments = [
        "certify",
        "--profile",
        "0.9.2",
        "--spawn",
        &command,
        "--name",
        "wrong",
        "--server-version",
        "1",
        "--timeout",
        "500ms",
        "--bundle",
        &bundle,
    ];
    let (code, told) = whole(&arguments);
    assert_eq!(code, 2, "{told}");
    for words in [
        "Not certified: wrong 1, vfio-user 0.9.2",
        "the server violates ",
        "HDR-02",
        "Deadline for a reply: 500ms (--timeout)",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let read =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(bench.path("refused").join(name)).unwrap()).unwrap() };
    let manifest = read("manifest.json");
    assert!(manifest["verdict"]["refused"][0].as_str().unwrap().contains("HDR-02"), "{}", manifest["verdict"]);
    assert_eq!(read("badge.json")["message"], "not certified");
    let report = read("report.json");
    let failed = report["cases"].as_array().unwrap().iter().find(|case| case["result"] == "fail").unwrap();
    assert!(!failed["transcript"].as_array().unwrap().is_empty(), "a finding without its messages");
    let ended = bench.program(&["verify", &bundle]);
    ended.has_code(2).says("NOT CERTIFIED: wrong 1, vfio-user 0.9.2");
    assert!(!ended.stdout.contains("\nCertified") && !ended.stdout.starts_with("Certified"), "{}", ended.stdout);
    // A verdict that is turned round does not stand.
    let mut turned = manifest.clone();
    turned["verdict"] = json!({"certified": "strict"});
    fs::write(bench.path("refused/manifest.json"), turned.to_string()).unwrap();
    bench.program(&["verify", &bundle]).has_code(1).says("and the report comes to refused");
}

#[test]
fn a_server_that_is_not_there_or_a_run_that_is_interrupted_is_refused() {
    let bench = Bench::new(&[]);
    let bundle = bench.word("lost");
    let command = server("ends-at-once");
    let named = ["--name", "gone", "--server-version", "1", "--timeout", "500ms", "--bundle", &bundle];
    let ended = bench.program(&[&["certify", "--profile", "0.9.2", "--spawn", &command], &named[..]].concat());
    ended.has_code(4).says("Not certified: gone 1").says("were not played");
    bench.program(&["verify", &bundle]).has_code(4).says("NOT CERTIFIED");
    let moment = Moment::at(&bench.word("moment"));
    let silent = server(&format!("silent --on DEVICE_RESET --announce {}", bench.word("moment")));
    let running = bench.start(
        &[&["certify", "--profile", "0.9.2", "--spawn", &silent][..], &named[..4], &["--timeout", "60s"], &named[6..]]
            .concat(),
        &[],
    );
    moment.wait();
    running.signal(nix::sys::signal::Signal::SIGINT);
    let ended = running.end();
    ended.has_code(130);
}

#[test]
fn wrong_usage_is_1_and_takes_nothing_away() {
    let bench = Bench::new(&[]);
    let bundle = bench.word("bundle");
    let good = server("good");
    let certify = |arguments: &[&str]| bench.program(&[&["certify", "--bundle", &bundle], arguments].concat());
    certify(&[]).has_code(1).says("--profile");
    certify(&["--profile", "auto"]).has_code(1).says("no profile `auto`");
    certify(&["--profile", "0.9.2", "dma-map.*"]).has_code(1).says("unexpected argument");
    for option in ["--expect", "--shard", "--cases", "--generate", "--fail-fast", "--failed"] {
        certify(&["--profile", "0.9.2", option, "1"]).has_code(1).says("unexpected argument");
    }
    let spawn = ["--profile", "0.9.2", "--spawn", &good];
    certify(&spawn).has_code(1).says("--name NAME and --server-version VERSION");
    certify(&["--profile", "0.9.2", "--name", "mine"]).has_code(1).says("no server is named");
    let named = [&spawn[..], &["--name", "a", "--server-version", "1"]].concat();
    certify(&[&named[..], &["--url", "ftp://x"]].concat()).has_code(1).says("a URL begins with https://");
    certify(&[&named[..], &["--program", "/nonexistent"]].concat()).has_code(1).says("could not read the program");
    let other = ["--profile", "0.9.2", "--spawn", "no-such-program-anywhere", "--name", "a", "--server-version", "1"];
    certify(&other).has_code(4).says("`no-such-program-anywhere` is no program in the folders of PATH");
    let other = ["--profile", "0.9.2", "--spawn", "/nonexistent", "--name", "a", "--server-version", "1"];
    certify(&other).has_code(4).says("`/nonexistent` is no program");
    fs::create_dir(bench.path("bundle")).unwrap();
    fs::write(bench.path("bundle/thesis.tex"), "").unwrap();
    certify(&named).has_code(1).says("has other things in it than a bundle (thesis.tex)");
    assert!(bench.path("bundle/thesis.tex").exists());
    bench.program(&["verify"]).has_code(1);
    bench.program(&["verify", "--again", &bundle]).has_code(1).says("--again needs the server");
    bench.program(&["verify", &bundle, "--spawn", &good]).has_code(1).says("are for --again");
}

#[test]
fn a_bundle_is_run_again_against_the_server_that_is_given_and_the_command_in_it_is_never_started() {
    let copy = Copy::new();
    // Whatever stands there: it is not run.
    let marker = copy.bench.word("started");
    let command = json!(["touch", marker]);
    copy.alter("report.json", true, |report| report["command"] = command.clone());
    copy.alter("manifest.json", false, |manifest| manifest["command"] = command.clone());
    // The page of the altered report, as this program writes it, so that the bundle agrees with itself.
    copy.alter("report.json", true, |report| report["harness"]["version"] = json!("0.0.9"));
    copy.alter("manifest.json", false, |manifest| manifest["harness"]["version"] = json!("0.0.9"));
    let folder = copy.folder.to_str().unwrap();
    let good = server("good");
    let (code, told) = whole(&["verify", "--again", folder, "--spawn", &good]);
    assert_eq!(code, 6, "{told}");
    for words in [
        "cases came out otherwise than in the bundle",
        "another device file than that of the bundle",
        "NOT WHAT THE BUNDLE IS OF: this run was of another program: misbehaving-server with SHA-256 ",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!copy.bench.path("started").exists());
    let spawn = format!("{} reference-server --profile 0.9.2", env!("CARGO_BIN_EXE_vfio-user-conformance"));
    let device = copy.folder.join("device.toml");
    let device = device.to_str().unwrap();
    let (code, told) = whole(&["verify", "--again", folder, "--spawn", &spawn, "--device", device]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("The same: each of ") && told.contains("cases came out as in the bundle"), "{told}");
}

#[test]
fn another_program_or_device_file_is_not_what_the_bundle_is_of_even_where_it_comes_to_the_same() {
    let copy = Copy::new();
    let folder = copy.folder.to_str().unwrap();
    let device = copy.folder.join("device.toml");
    let reference = format!("{} reference-server --profile 0.9.2", env!("CARGO_BIN_EXE_vfio-user-conformance"));
    // A script starts the same server, and is another file.
    let script = copy.bench.write("server.sh", &format!("#!/bin/sh\nexec {reference} \"$@\"\n"));
    let spawn = format!("sh {script}");
    let words = ["verify", "--again", folder, "--spawn", &spawn, "--device", device.to_str().unwrap()];
    let (code, told) = whole(&words);
    assert_eq!(code, 6, "{told}");
    let why = "NOT WHAT THE BUNDLE IS OF: this run was of another program: sh with SHA-256 ";
    for words in [why, "cases came out as in the bundle; what that is of was not run again"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // By the file of the server it is the one that was certified; what the device file says is the same, and is not that file.
    let text = fs::read_to_string(&device).unwrap();
    let commented = copy.bench.write("commented.toml", &format!("# another one\n{text}"));
    let program = ["--program", env!("CARGO_BIN_EXE_vfio-user-conformance")];
    let (code, told) = whole(&[&words[..6], &[&commented], &program[..]].concat());
    assert_eq!(code, 6, "{told}");
    assert!(told.contains("NOT WHAT THE BUNDLE IS OF: this run had another device file than"), "{told}");
    assert!(!told.contains("another program"), "{told}");
    copy.bench.program(&["verify", folder, "--program", "x"]).has_code(1).says("--again");
}
