//! Reports and manifests that contradict themselves or each other, and what is said of each.

use super::*;
use crate::certificate::sample;
use crate::report::sample::{case, wrong_errno};
use crate::verdict::Check;

/// What is wrong where the report of a certificate was changed, and the manifest with it.
fn altered(change: impl FnOnce(&mut Report)) -> Vec<String> {
    let mut report = sample::report();
    change(&mut report);
    let manifest = Manifest { coverage: Coverage::of(&report), ..sample::manifest() };
    with_itself(&manifest, &report)
}

/// What is wrong where the manifest of a certificate was changed.
fn claimed(change: impl FnOnce(&mut Manifest)) -> Vec<String> {
    let mut manifest = sample::manifest();
    change(&mut manifest);
    with_itself(&manifest, &sample::report())
}

#[test]
fn what_was_certified_agrees_with_itself() {
    assert!(altered(|_| {}).is_empty(), "{:?}", altered(|_| {}));
}

#[test]
fn a_result_that_its_own_case_does_not_have_is_told() {
    let told = |record: CaseRecord| contradiction(&record);
    let violated = Check { requirement: "HDR-20".to_owned(), line: 4, said: Said::Violated };
    assert_eq!(told(sample::passes()), None);
    assert_eq!(told(wrong_errno()), None);
    let green = CaseRecord { result: CaseResult::Pass, ..wrong_errno() };
    assert_eq!(told(green).unwrap(), "dma-map.overlap passed, and has a violation");
    let forgotten = CaseRecord { checks: vec![violated], ..sample::passes() };
    assert_eq!(told(forgotten).unwrap(), "version.plain passed, and has a violation");
    let noted = Check { requirement: "HDR-20".to_owned(), line: 4, said: Said::Noted };
    let without = CaseRecord { checks: vec![noted], ..sample::passes() };
    assert_eq!(told(without).unwrap(), "version.plain has a note of which it does not say what it is");
    let unplayed = CaseRecord { attempts: Vec::new(), ..sample::passes() };
    assert_eq!(told(unplayed).unwrap(), "version.plain passed, and was never played");
    let mut crashed = sample::passes();
    crashed.attempts[0].outcome = Outcome::Crashed;
    assert_eq!(told(crashed).unwrap(), "version.plain passed, and the server crashed in it");
    let hidden = CaseRecord { result: CaseResult::Skip, ..wrong_errno() };
    assert_eq!(told(hidden).unwrap(), "dma-map.overlap was skipped, and has a violation");
    let accused = CaseRecord { result: CaseResult::Fail, ..sample::passes() };
    assert_eq!(told(accused).unwrap(), "version.plain failed, and has no violation");
    assert!(told(case("a", CaseResult::Skip, None)).unwrap().ends_with("does not say why"));
}

#[test]
fn counts_and_codes_are_made_anew() {
    let counted = altered(|report| report.totals.pass = 2);
    assert!(counted[0].starts_with("the totals of the report are not those of its cases"), "{counted:?}");
    assert_eq!(altered(|report| report.exit_code = 3)[0], "the report has exit code 3, and its cases come to 0");
    let twice = altered(|report| {
        report.cases.push(sample::passes());
        report.totals.pass += 1;
        report.totals.selected += 1;
    });
    assert_eq!(twice, ["version.plain is there twice"]);
    let violated = altered(|report| report.requirements.get_mut("HDR-20").unwrap().status = Status::Violated);
    assert_eq!(violated, ["HDR-20 are violated, and no case failed"]);
}

#[test]
fn a_manifest_that_says_more_than_the_report_is_told() {
    let strict = Verdict::Certified(crate::certificate::Level::Strict);
    let mut report = sample::report();
    sample::fail(&mut report);
    report.exit_code = 2;
    let manifest = Manifest { verdict: strict, coverage: Coverage::of(&report), ..sample::manifest() };
    let told = with_itself(&manifest, &report);
    assert_eq!(
        told,
        [
            "the manifest says certified, strict, and the report comes to refused (the server violates 1 requirement: HDR-20)"
        ]
    );
    let other = |what: &str| vec![format!("the manifest has another {what} than the report")];
    assert_eq!(claimed(|manifest| manifest.harness.version = "9".to_owned()), other("harness"));
    assert_eq!(claimed(|manifest| manifest.command.push("--strict".to_owned())), other("command"));
    assert_eq!(claimed(|manifest| manifest.coverage.requirements.verified += 1), other("coverage"));
    assert_eq!(claimed(|manifest| manifest.settings.strict = true), other("`strict`"));
    assert_eq!(claimed(|manifest| manifest.settings.one_at_a_time = true), other("`one_at_a_time`"));
    assert_eq!(claimed(|manifest| manifest.settings.timeout = "1s".to_owned()), other("deadline"));
    let mut report = sample::report();
    report.timeout = "long".to_owned();
    let settings = Settings { timeout: report.timeout.clone(), ..sample::settings() };
    assert_eq!(with_itself(&Manifest { settings, ..sample::manifest() }, &report), ["`long` is no timeout"]);
    assert_eq!(claimed(|manifest| manifest.when = "today".to_owned()), ["`today` is no moment"]);
    assert!(claimed(|manifest| manifest.profile = "v8".to_owned()).contains(&other("version of the protocol")[0]));
    assert!(claimed(|manifest| manifest.settings.seed = 2).contains(&other("seed")[0]));
}

#[test]
fn what_certify_would_not_take_for_a_name_is_none() {
    let none = |what: &str, why: &str| vec![format!("the {what} of the server is none: {why}")];
    assert_eq!(claimed(|manifest| manifest.server.name = String::new()), none("name", "there is nothing in it"));
    let version = claimed(|manifest| manifest.server.version = " 1".to_owned());
    assert_eq!(version, none("version", "there are spaces around it"));
    let url = claimed(|manifest| manifest.server.url = Some("javascript:alert(1)".to_owned()));
    assert_eq!(url, none("URL", "a URL begins with https:// or http://, and has no spaces"));
}

#[test]
fn a_file_of_no_case_is_told_where_the_search_came_to_its_end() {
    let with = |report: &Report| {
        let mut manifest = Manifest { coverage: Coverage::of(report), ..sample::manifest() };
        let digest = manifest::Digest { bytes: 1, sha256: "0".repeat(64) };
        manifest.files.insert("generated/generated.hdr-19.case".to_owned(), digest);
        let stray = "`generated/generated.hdr-19.case` is of no case of the report".to_owned();
        with_itself(&manifest, report).contains(&stray)
    };
    assert!(with(&sample::report()));
    let early = Report { complete: false, ..sample::report() };
    assert!(!with(&early), "a search that broke off");
    let mut drawn = crate::report::sample::crash("generated.hdr-19");
    drawn.file = "elsewhere/generated/generated.hdr-19.case".to_owned();
    let mut report = sample::report();
    report.cases.push(drawn);
    assert!(!with(&report));
}

#[test]
fn the_device_file_is_that_of_the_run() {
    let with = |has: Option<Has>, command: &[&str], text: Option<&str>| {
        let mut report = sample::report();
        report.command = command.iter().map(|word| (*word).to_owned()).collect();
        report.target.discovered.has.remove(OF_DEVICE_FILE);
        report.target.discovered.has.extend(has.map(|has| (OF_DEVICE_FILE.to_owned(), has)));
        device(text, &report)
    };
    let text = include_str!("../../fixtures/devices/conformance.toml");
    let (yes, no) = (Has::Yes(BTreeMap::new()), Has::No(NO_DEVICE_FILE.to_owned()));
    let without = Has::No("the device file names no scratch range in a region that can be read and written".to_owned());
    for has in [&yes, &without] {
        assert_eq!(with(Some(has.clone()), &[], Some(text)), None);
        let told = with(Some(has.clone()), &[], None).unwrap();
        assert_eq!(told, "by the report the run had a device file, and there is no `device.toml`");
    }
    assert_eq!(with(Some(no.clone()), &[], None), None);
    let told = with(Some(no), &[], Some(text)).unwrap();
    assert_eq!(told, "there is `device.toml`, and by the report the run had no device file");
    // Of a server that was never spoken to, the command alone says it.
    assert_eq!(with(None, &[], Some(text)), None);
    assert_eq!(with(None, &[], None), None);
    assert!(with(None, &["certify", "--device", "x.toml"], None).is_some());
    assert!(with(None, &["certify", "--device=x.toml"], None).is_some());
    assert!(with(Some(yes), &[], Some("scratch = [")).unwrap().contains("device.toml"));
}

#[test]
fn a_server_that_was_never_spoken_to_has_no_results() {
    let told = altered(|report| report.profile.used = String::new());
    assert!(told.contains(&"the server was never spoken to, and cases have results".to_owned()), "{told:?}");
}

#[test]
fn sequences_that_failed_are_told_and_no_others() {
    let told = altered(|report| report.generated.as_mut().unwrap().failed = 17);
    assert!(told.contains(&"17 sequences failed, and none of them is told".to_owned()), "{told:?}");
    let told = altered(|report| {
        let name = "generated.hdr-02".to_owned();
        report.cases.push(CaseRecord { name, ..sample::passes() });
        report.totals = Totals::of(&report.cases);
    });
    assert!(told.contains(&"generated.hdr-02 did not fail, and is told all the same".to_owned()), "{told:?}");
}
