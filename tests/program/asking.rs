//! What would run, and why not: `list` and `probe` with a server, which they ask and do not judge.

use crate::support::{Bench, Ended, PASSES, RESETS, server};
use serde_json::{Value, json};

/// For servers that answer: none of these tests waits for it.
const PATIENT: [&str; 2] = ["--timeout", "5s"];

/// A case that needs what the server does not have.
const NEEDS_RESET: &str = "case reset.supported\nneeds reset\n> DEVICE_RESET\n< ok                                                    [RESET-01]\n";
/// A case that needs what a device file says.
const NEEDS_SCRATCH: &str = "case region-read.scratch\nneeds scratch\n> REGION_READ region={scratch.region} offset={scratch.offset} count=4\n< ok                                                    [RREAD-01]\n";

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(ended.has_code(0).stdout.as_str()).unwrap()
}

fn list(bench: &Bench, more: &[&str]) -> Ended {
    let cases = bench.word("cases");
    bench.program(&[&["list", "--cases", &cases, "--spawn", &server("good")], &PATIENT[..], more].concat())
}

#[test]
fn what_is_listed_as_skipped_is_what_a_run_skips() {
    let bench =
        Bench::new(&[("a.case", PASSES), ("b.case", RESETS), ("c.case", NEEDS_RESET), ("d.case", NEEDS_SCRATCH)]);
    let listed = json_of(&list(&bench, &["--format", "json"]));
    let ran = bench.against("good", &PATIENT);
    ran.has_code(0);
    let told: Vec<Value> =
        listed["cases"].as_array().unwrap().iter().map(|case| json!([case["name"], case["reason"]])).collect();
    let happened: Vec<Value> =
        ran.report()["cases"].as_array().unwrap().iter().map(|case| json!([case["name"], case["reason"]])).collect();
    assert_eq!(told, happened);
    assert_eq!(listed["totals"], json!({ "selected": 4, "run": 2, "skip": 2 }));
    for (document, key) in [(&listed["schema"], "schema"), (&listed["profile"], "profile")] {
        assert_eq!(document, &ran.report()[key]);
    }
    assert_eq!(listed["target"]["how"], ran.report()["target"]["how"]);
}

#[test]
fn each_case_is_told_with_its_reason_and_all_are_counted() {
    let bench = Bench::new(&[("a.case", PASSES), ("c.case", NEEDS_RESET), ("d.case", NEEDS_SCRATCH)]);
    let listed = list(&bench, &[]);
    listed.has_code(0);
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines[0], "run   good.info");
    assert!(lines[1].starts_with("skip  reset.supported  ("), "{}", lines[1]);
    assert_eq!(lines[2], "skip  region-read.scratch  (no device file was given (--device FILE))");
    listed.says("3 cases for").says("1 would run, 2 would be skipped").says("1 no device file was given");
    let one = list(&bench, &["good.*"]);
    one.has_code(0).says("1 case for").says("1 would run, 0 would be skipped");
    list(&bench, &["god.info"]).has_code(5).says("did you mean good.info?");
}

#[test]
fn what_a_device_file_could_let_run_is_counted() {
    let bench = Bench::new(&[("a.case", PASSES), ("d.case", NEEDS_SCRATCH)]);
    let command = format!("{} reference-server", env!("CARGO_BIN_EXE_vfio-user-conformance"));
    let cases = bench.word("cases");
    let listed = bench.program(&["list", "--cases", &cases, "--spawn", &command]);
    listed.has_code(0).says("A device file could let 1 of 1 case run");
    // Of a device without such a region none can help.
    assert!(!list(&bench, &[]).stdout.contains("A device file could"));
}

#[test]
fn requirements_are_told_with_why_none_of_their_cases_would_run() {
    let bench = Bench::new(&[("a.case", PASSES), ("c.case", NEEDS_RESET)]);
    let listed = json_of(&list(&bench, &["--requirements", "--format", "json"]));
    let of = |id: &str| {
        let all = listed["requirements"].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("no {id}")).clone()
    };
    assert_eq!(of("INFO-01"), json!({ "id": "INFO-01", "level": "implied", "run": true, "cases": 1 }));
    assert_eq!((&of("RESET-01")["run"], &of("RESET-01")["cases"]), (&json!(false), &json!(0)));
    assert_eq!(of("RESET-01")["reasons"], json!(["the target has no support of DEVICE_RESET"]));
    assert_eq!(of("DMAP-01")["reasons"], json!(["no case"]));
    assert!(listed["requirements"].as_array().unwrap().iter().all(|one| one["id"] != "L-DP-15"), "of another version");
    assert_eq!(listed["totals"]["run"], 1);
    let text = list(&bench, &["--requirements"]);
    text.has_code(0).says("run INFO-01 1 case").says("1 would be exercised");
}

#[test]
fn a_list_without_a_server_is_the_names_alone() {
    let bench = Bench::new(&[("a.case", PASSES), ("c.case", NEEDS_RESET)]);
    let cases = bench.word("cases");
    let listed = bench.program(&["list", "--cases", &cases]);
    assert_eq!(listed.has_code(0).stdout, "good.info\nreset.supported\n");
    let document = json_of(&bench.program(&["list", "--cases", &cases, "--format", "json", "good.info"]));
    let expected = json!([{ "name": "good.info", "file": "a.case", "line": 1, "requirements": ["INFO-01"] }]);
    assert_eq!(document["cases"], expected);
    // The versions differ in their cases.
    let of = |profile: &str| bench.program(&["list", "--profile", profile]).stdout;
    assert_eq!(of("0.9.2"), bench.program(&["list"]).stdout);
    assert_ne!(of("0.9.2"), of("v8"));
}

#[test]
fn what_makes_no_sense_without_a_server_is_1() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    for (words, sentence) in [
        (&["--device", "x.toml"][..], "name it with --spawn or --socket"),
        (&["--requirements", "--profile", "v8"], "takes no --profile"),
        (&["--requirements", "--format", "json"], "has no --format json"),
        (&["--format", "xml"], "invalid value 'xml'"),
    ] {
        bench.program(&[&["list"], words].concat()).has_code(1).says(sentence);
    }
}

#[test]
fn a_server_that_cannot_be_asked_is_4() {
    let bench = Bench::new(&[]);
    for command in ["list", "probe"] {
        bench.program(&[command, "--spawn", "/nonexistent/server"]).has_code(4).says("/nonexistent/server");
        bench.program(&[command, "--spawn", &server("refuses-version"), "--timeout", "5s"]).has_code(4);
    }
}

/// The bundled server's device, which docs/conformance-device.md describes.
#[test]
fn a_probe_tells_what_an_author_asks_first() {
    let bench = Bench::new(&[]);
    let command = format!("{} reference-server", env!("CARGO_BIN_EXE_vfio-user-conformance"));
    let probed = bench.program(&["probe", "--spawn", &command]);
    probed
        .has_code(0)
        .says("max_data_xfer_size 1048576")
        .says("flags 0x3 (reset|pci), 9 regions, 5 interrupt types")
        .says("region 1 BAR1, 0x10000 bytes, flags 0xf (read|write|mmap|caps), can be mapped at 0x1000+0x2000 0x8000+0x4000, 1 descriptor")
        .says("irq 0 INTx, 1 of them, flags 0x7 (eventfd|maskable|automasked)")
        .says("features migration with flags 0x5 (stop_copy|pre_copy), a log of DMA writes")
        .says("lacks no-reset: the target has DEVICE_RESET")
        .says("Lacking for want of a device file, and what it would say")
        .says("scratch [[scratch]]: 64 bytes in a region that can be read and written");
    let document = json_of(&bench.program(&["probe", "--spawn", &command, "--format", "json"]));
    let alone = json_of(&bench.program(&["probe", "--spawn", &command, "--json"]));
    assert_eq!(document["target"]["discovered"], alone);
    assert_eq!(document["target"]["how"], command.as_str());
    let need = |word: &str| {
        let needs = document["needs"].as_array().unwrap();
        needs.iter().find(|need| need["word"] == word).unwrap().clone()
    };
    assert_eq!(need("dma")["met"], true);
    assert_eq!(need("scratch")["met"], false);
    assert_eq!(need("scratch")["reason"], "no device file was given (--device FILE)");
    assert!(need("counter")["device_file"].as_str().unwrap().contains("[counter]"));
    assert_eq!(need("no-dma").get("device_file"), None, "what is not there for want of a device file");
}

#[test]
fn a_drafted_device_file_is_taken_as_it_stands_and_changes_nothing() {
    let bench = Bench::new(&[]);
    let program = env!("CARGO_BIN_EXE_vfio-user-conformance");
    for without in ["", " --without regions,interrupts,dma,migration"] {
        let command = format!("{program} reference-server{without}");
        let draft = bench.program(&["probe", "--spawn", &command, "--device-template"]);
        let device = bench.write("draft.toml", &draft.has_code(0).stdout);
        let offers = |more: &[&str]| -> Vec<Value> {
            let probed = bench.program(&[&["probe", "--spawn", &command, "--format", "json"], more].concat());
            let needs = json_of(&probed)["needs"].as_array().unwrap().clone();
            needs.into_iter().map(|need| json!([need["word"], need["met"]])).collect()
        };
        assert_eq!(offers(&["--device", &device]), offers(&[]), "{without}");
    }
}

#[test]
fn one_form_of_a_probe_at_a_time() {
    let bench = Bench::new(&[]);
    for words in [
        &["--json", "--format", "json"][..],
        &["--json", "--device-template"],
        &["--format", "text", "--device-template"],
    ] {
        bench.program(&[&["probe"], words].concat()).has_code(1).says("cannot be used with");
    }
}
