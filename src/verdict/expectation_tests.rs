use pretty_assertions::assert_eq;

use super::*;
use crate::Profile;
use crate::requirement::Register;
use crate::verdict::samples::{case, found};
use crate::verdict::{CaseRecord, CaseResult, Comparison, Draft, Drift, Scope};

const PINS: &str = r#"
target = "gpio 0.1.7"

[[expect]]
case = "header.surplus/*"
requirement = "HDR-19"
outcome = "crashed"
reason = "slice out of range"
link = "https://example.org/1"
"#;

fn pins(text: &str) -> Expectations {
    Expectations::parse("pins.toml", text).unwrap()
}

fn refusal(text: &str) -> String {
    Expectations::parse("pins.toml", text).unwrap_err().to_string()
}

fn crash(name: &str) -> CaseRecord {
    case(name, CaseResult::Fail, vec![found("HDR-19", Class::Violation, Evidence::Exited)])
}

fn because(mut case: CaseRecord, reason: &str) -> CaseRecord {
    case.reason = Some(reason.to_owned());
    case
}

fn draft(cases: &[CaseRecord]) -> Draft<'_> {
    Draft { cases, offers: &["dma", "no-migration"], strict: false, known: None, incomplete: false }
}

fn sentences(comparison: &Comparison) -> Vec<String> {
    comparison.drift.iter().map(Drift::to_string).collect()
}

#[test]
fn what_is_pinned_is_met_in_every_case_that_the_glob_names() {
    assert_eq!(pins(PINS).target.as_deref(), Some("gpio 0.1.7"));
    let comparison = pins(PINS).compare(&[crash("header.surplus/DMA_MAP"), crash("header.surplus/DMA_UNMAP")], &[]);
    assert_eq!(comparison.drift, []);
    assert_eq!(comparison.met.len(), 2);
    assert_eq!(comparison.met[0].reason, "slice out of range");
    assert!(comparison.pin("header.surplus/DMA_MAP", Some("HDR-19"), Observed::Crashed).is_some());
}

#[test]
fn a_case_is_expected_where_all_that_it_shows_is_pinned_as_it_came() {
    let pins = pins(PINS);
    assert!(pins.expect(&crash("header.surplus/A")));
    assert!(!pins.expect(&crash("header.split/15")));
    let silent = found("HDR-19", Class::Violation, Evidence::Deadline);
    assert!(!pins.expect(&case("header.surplus/A", CaseResult::Fail, vec![silent])));
    let mut both = crash("header.surplus/A");
    both.findings.push(found("HDR-20", Class::Violation, Evidence::Received));
    assert!(!pins.expect(&both));
}

#[test]
fn a_pin_is_of_its_case_and_requirement_and_outcome() {
    let comparison = pins(PINS).compare(&[crash("header.surplus/A")], &[]);
    let pinned = |case, requirement, observed| comparison.pin(case, Some(requirement), observed).is_some();
    assert!(pinned("header.surplus/A", "HDR-19", Observed::Crashed));
    assert!(!pinned("header.surplus/B", "HDR-19", Observed::Crashed));
    assert!(!pinned("header.surplus/A", "HDR-20", Observed::Crashed));
    assert!(!pinned("header.surplus/A", "HDR-19", Observed::Silent));
}

#[test]
fn a_note_where_another_case_of_the_glob_shows_what_is_pinned_drifts() {
    let noted = case("header.surplus/B", CaseResult::Pass, vec![found("HDR-19", Class::Note, Evidence::Received)]);
    assert_eq!(
        sentences(&pins(PINS).compare(&[crash("header.surplus/A"), noted], &[])),
        ["header.surplus/B: \"note\" on HDR-19 where \"crashed\" is pinned: expected an error, got something else"]
    );
}

#[test]
fn what_generation_is_pinned_to_find_and_does_not_drifts() {
    let pins = pins(&PINS.replace("header.surplus/*", "generated.hdr-19"));
    assert_eq!(
        sentences(&pins.compare(&[case("version.cut", CaseResult::Pass, Vec::new())], &[])),
        ["generated.hdr-19: \"crashed\" on HDR-19 is pinned and no longer seen"]
    );
}

#[test]
fn a_glob_is_met_where_some_of_its_cases_show_it() {
    let cases = [crash("header.surplus/DMA_MAP"), case("header.surplus/VERSION", CaseResult::Pass, Vec::new())];
    assert_eq!(pins(PINS).compare(&cases, &[]).drift, []);
}

#[test]
fn any_stands_for_a_violation_whatever_it_shows_in_and_violation_does_not() {
    let [any, violation] = ["any", "violation"].map(|word| pins(&PINS.replace("crashed", word)));
    for evidence in [Evidence::Received, Evidence::Closed, Evidence::Exited, Evidence::Deadline] {
        let cases = [case("header.surplus/A", CaseResult::Fail, vec![found("HDR-19", Class::Violation, evidence)])];
        assert_eq!(any.compare(&cases, &[]).drift, []);
        assert_eq!(violation.compare(&cases, &[]).drift.is_empty(), evidence == Evidence::Received);
    }
}

#[test]
fn a_violation_that_is_not_pinned_drifts() {
    let other = case("version.cut", CaseResult::Fail, vec![found("VER-02", Class::Violation, Evidence::Received)]);
    let comparison = pins(PINS).compare(&[crash("header.surplus/A"), other], &[]);
    assert_eq!(
        sentences(&comparison),
        ["version.cut: \"violation\" on VER-02 is not pinned: expected an error, got something else"]
    );
}

#[test]
fn a_violation_of_another_requirement_in_a_pinned_case_drifts() {
    let mut both = crash("header.surplus/A");
    both.findings.push(found("HDR-20", Class::Violation, Evidence::Received));
    assert!(
        matches!(&pins(PINS).compare(&[both], &[]).drift[..], [Drift::Unexpected { requirement: Some(id), .. }] if id == "HDR-20")
    );
}

#[test]
fn inconclusive_and_error_cases_drift() {
    let cases = [
        crash("header.surplus/A"),
        because(case("irq.late", CaseResult::Inconclusive, Vec::new()), "silent in 1 of 3"),
        because(case("irq.odd", CaseResult::Error, Vec::new()), "no such procedure"),
    ];
    assert_eq!(
        sentences(&pins(PINS).compare(&cases, &[])),
        [
            "irq.late: \"inconclusive\" is not pinned: silent in 1 of 3",
            "irq.odd: the case is in error, which cannot be pinned: no such procedure",
        ]
    );
}

#[test]
fn an_inconclusive_case_can_be_pinned_without_a_requirement() {
    let pins = pins("[[expect]]\ncase = \"irq.late\"\noutcome = \"inconclusive\"\nreason = \"slow\"\n");
    let comparison = pins.compare(&[case("irq.late", CaseResult::Inconclusive, Vec::new())], &[]);
    assert_eq!((comparison.met.len(), comparison.drift.len()), (1, 0));
}

#[test]
fn another_outcome_than_the_pinned_one_drifts_once() {
    let silent =
        case("header.surplus/A", CaseResult::Fail, vec![found("HDR-19", Class::Violation, Evidence::Deadline)]);
    assert_eq!(
        sentences(&pins(PINS).compare(&[silent], &[])),
        ["header.surplus/A: \"silent\" on HDR-19 where \"crashed\" is pinned: expected an error, got something else"]
    );
    let better = case("header.surplus/A", CaseResult::Pass, vec![found("HDR-19", Class::Note, Evidence::Received)]);
    assert_eq!(
        sentences(&pins(PINS).compare(&[better], &[])),
        ["header.surplus/A: \"note\" on HDR-19 where \"crashed\" is pinned: expected an error, got something else"]
    );
}

#[test]
fn an_entry_whose_case_passes_drifts() {
    let cases = [case("header.surplus/A", CaseResult::Pass, Vec::new())];
    assert_eq!(
        sentences(&pins(PINS).compare(&cases, &[])),
        ["header.surplus/*: \"crashed\" on HDR-19 is pinned and no longer seen"]
    );
}

#[test]
fn an_entry_whose_case_is_skipped_drifts() {
    let cases = [because(case("header.surplus/A", CaseResult::Skip, Vec::new()), "the target has no region")];
    assert_eq!(
        sentences(&pins(PINS).compare(&cases, &[])),
        [
            "header.surplus/*: the entry on HDR-19 could not be compared, since the case was skipped: the target has no region"
        ]
    );
}

#[test]
fn what_is_offered_no_more_drifts() {
    let pins = pins("offers = [\"dma\", \"migration\", \"twin-socket\", \"pre-copy\"]");
    let lacking = pins.lacking(|need| match need {
        "dma" => None,
        "twin-socket" => Some("there is none".to_owned()),
        _ => Some("GET of MIGRATION is refused".to_owned()),
    });
    let sentences: Vec<String> = lacking.iter().map(Drift::to_string).collect();
    assert_eq!(
        sentences,
        [
            "migration, pre-copy: pinned under `offers`, but what needs it was skipped: GET of MIGRATION is refused",
            "twin-socket: pinned under `offers`, but what needs it was skipped: there is none",
        ]
    );
    assert_eq!(
        refusal("offers = [\"migratoin\"]"),
        "pins.toml: offers: unknown word `migratoin`, did you mean `migration`?; `probe` lists all"
    );
}

#[test]
fn an_entry_that_matches_no_case_drifts() {
    assert_eq!(
        sentences(&pins(PINS).compare(&[case("version.cut", CaseResult::Pass, Vec::new())], &[])),
        ["header.surplus/*: the entry on HDR-19 matches no case"]
    );
}

/// What is left of the pins in a run of some cases of 0.9.2.
fn within(text: &str, all: &[&str], selected: &[&str], generates: bool) -> Expectations {
    within_run_of(Profile::V0_9_2, text, all, selected, generates)
}

fn within_run_of(profile: Profile, text: &str, all: &[&str], selected: &[&str], generates: bool) -> Expectations {
    let register = Register::bundled().unwrap();
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (all, selected) = (owned(all), owned(selected));
    let elsewhere = [("dirty-pages.start".to_owned(), Profile::V0_9_1)];
    let (register, elsewhere) = (&register, elsewhere.as_slice());
    let scope = Scope { register, profile, all: &all, selected: &selected, elsewhere, generates, sharded: false };
    pins(text).within(&scope)
}

#[test]
fn an_entry_about_cases_that_were_not_selected_is_left_out() {
    let all = ["header.surplus/A", "version.cut"];
    assert_eq!(within(PINS, &all, &["version.cut"], false).entries.len(), 0);
    assert_eq!(within(PINS, &all, &["header.surplus/A"], false).entries.len(), 1);
    // It may speak of what is generated as well.
    let every = PINS.replace("header.surplus/*", "*");
    assert_eq!(within(&every, &all, &["version.cut"], false).entries.len(), 1);
    assert_eq!(within(&every, &all, &[], false).entries.len(), 0);
    assert_eq!(within(&every, &all, &[], true).entries.len(), 1);
}

#[test]
fn an_entry_of_which_a_part_was_selected_does_not_drift_for_the_rest() {
    let all = ["header.surplus/A", "header.surplus/B"];
    let a_passes = || [case("header.surplus/A", CaseResult::Pass, Vec::new())];
    assert_eq!(within(PINS, &all, &["header.surplus/A"], false).compare(&a_passes(), &[]).drift, []);
    // Both were selected, and one was not played.
    let both = within(PINS, &all, &all, false);
    assert_eq!(both.compare(&a_passes(), &["header.surplus/B".to_owned()]).drift, []);
    let passes = all.map(|name| case(name, CaseResult::Pass, Vec::new()));
    assert_eq!(sentences(&both.compare(&passes, &[])).len(), 1);
}

#[test]
fn an_entry_that_no_run_of_this_version_can_meet_drifts_though_nothing_was_played() {
    let drift = |text: &str| {
        let pinned = within(text, &["header.surplus/A"], &["header.surplus/A"], false);
        sentences(&pinned.compare(&[], &["header.surplus/A".to_owned()]))
    };
    assert_eq!(drift(&PINS.replace("surplus", "surplis")), ["header.surplis/*: the entry on HDR-19 matches no case"]);
    assert_eq!(
        drift(&PINS.replace("header.surplus/*", "dirty-pages.*")),
        ["dirty-pages.*: the entry on HDR-19 matches no case of this version, but one of 0.9.1"]
    );
    let unknown = drift(&PINS.replace("HDR-19", "HDR-190"));
    assert!(
        unknown[0].starts_with("header.surplus/*: the entry names HDR-190: no requirement has that id"),
        "{unknown:?}"
    );
    assert_eq!(
        drift(&PINS.replace("HDR-19", "L-DP-15")),
        ["header.surplus/*: the entry names L-DP-15: it is no requirement of 0.9.2, which this run judges by"]
    );
    let in_version_8 = |id: &str| {
        let text = PINS.replace("HDR-19", id);
        let pinned = within_run_of(Profile::V8, &text, &["header.surplus/A"], &["header.surplus/A"], false);
        sentences(&pinned.compare(&[], &["header.surplus/A".to_owned()]))
    };
    assert_eq!(in_version_8("L-MR-12"), ["header.surplus/*: the entry names L-MR-12: v8 calls it V8-24"]);
    let none = "header.surplus/*: the entry names MIGFSM-01: it is no requirement of v8, which this run judges by";
    assert_eq!(in_version_8("MIGFSM-01"), [none]);
}

#[test]
fn what_generation_found_is_pinned_for_runs_that_generate() {
    let text = PINS.replace("header.surplus/*", "generated.hdr-19");
    assert_eq!(within(&text, &["a.b"], &["a.b"], false).compare(&[], &[]).drift, []);
    let generates = within(&text, &["a.b"], &["a.b"], true);
    assert_eq!(generates.compare(&[crash("generated.hdr-19")], &[]).drift, []);
    assert_eq!(sentences(&generates.compare(&[], &[])).len(), 1);
    // A search that did not come to its end has not looked at all that it was to.
    let lost = generates.of_run_cut_short(true);
    assert_eq!(lost.entries.len(), 1);
    assert_eq!(lost.compare(&[], &[]).drift, []);
    assert_eq!(lost.compare(&[crash("generated.hdr-20")], &[]).drift.len(), 1);
    let all = PINS.replace("header.surplus/*", "*");
    let lost = within(&all, &["a.b"], &["a.b"], true).of_run_cut_short(true);
    assert_eq!(lost.compare(&[case("a.b", CaseResult::Pass, Vec::new())], &[]).drift, []);
}

#[test]
fn one_entry_twice_is_a_mistake_and_two_outcomes_of_one_case_drift() {
    let entry = PINS.split_once("\n\n").unwrap().1;
    assert!(refusal(&format!("{PINS}\n{entry}")).contains("number 2 (header.surplus/*): it says what number 1 says"));
    let contradicting = format!("{PINS}\n{}", entry.replace("crashed", "silent"));
    assert_eq!(
        sentences(&pins(&contradicting).compare(&[crash("header.surplus/A")], &[])),
        ["header.surplus/*: \"silent\" on HDR-19 is pinned and no longer seen"]
    );
}

#[test]
fn each_drift_says_what_to_do() {
    let (case, requirement) = ("a.b".to_owned(), Some("HDR-19".to_owned()));
    let (pinned, observed, detail) = (Observed::Crashed, Observed::Silent, String::new());
    let all = [
        Drift::Unexpected { case: case.clone(), requirement: None, observed: None, detail: detail.clone() },
        Drift::Unexpected { case: case.clone(), requirement: None, observed: Some(observed), detail: detail.clone() },
        Drift::OtherOutcome {
            case: case.clone(),
            requirement: requirement.clone(),
            pinned,
            observed,
            detail: detail.clone(),
        },
        Drift::Passes { case: case.clone(), requirement: requirement.clone(), pinned },
        Drift::Skipped { case: case.clone(), requirement: requirement.clone(), reason: detail.clone() },
        Drift::NoCase { case: case.clone(), requirement, of: None },
        Drift::NoRequirement { case, requirement: "HDR-19".to_owned(), detail },
    ];
    assert!(all.iter().all(|drift| drift.about() == "a.b"));
    let lacks = Drift::Lacks { needs: vec!["dma".to_owned(), "irq".to_owned()], reason: String::new() };
    assert_eq!(lacks.about(), "dma, irq");
    let mut advice: Vec<&str> = all.iter().map(Drift::advice).collect();
    advice.sort_unstable();
    advice.dedup();
    assert_eq!(advice.len(), all.len());
}

#[test]
fn a_note_needs_no_pin_unless_strict() {
    let note = || case("version.cut", CaseResult::Pass, vec![found("VER-02", Class::Note, Evidence::Received)]);
    assert_eq!(pins("").compare(&[note()], &[]).drift, []);
    assert_eq!(pins("").with_strict(true).compare(&[note()], &[]).drift.len(), 1);
    let pinned =
        pins("[[expect]]\ncase = \"version.cut\"\nrequirement = \"VER-02\"\noutcome = \"note\"\nreason = \"-\"\n");
    assert_eq!(pinned.compare(&[note()], &[]).met.len(), 1);
    assert_eq!(pinned.compare(&[case("version.cut", CaseResult::Pass, Vec::new())], &[]).drift.len(), 1);
}

#[test]
fn a_note_beside_the_pinned_violation_does_not_drift() {
    let mut both = crash("header.surplus/A");
    both.findings.insert(0, found("HDR-19", Class::Note, Evidence::Received));
    assert_eq!(pins(PINS).compare(&[both], &[]).drift, []);
}

#[test]
fn a_draft_of_a_run_is_met_by_that_run() {
    let mut two = crash("header.surplus/a*[b]{\"c\"\\0}\\");
    two.findings.push(found("HDR-20", Class::Violation, Evidence::Closed));
    two.findings.push(found("HDR-21", Class::Note, Evidence::Received));
    let cases =
        [two, case("irq.late", CaseResult::Inconclusive, Vec::new()), case("other", CaseResult::Pass, Vec::new())];
    let text = draft(&cases).text();
    let comparison = pins(&text).compare(&cases, &[]);
    assert_eq!(comparison.drift, [], "{text}");
    assert_eq!(comparison.met.len(), 3, "{text}");
}

#[test]
fn a_draft_of_a_strict_run_is_met_by_a_strict_run() {
    let mut noted = crash("header.surplus/A");
    noted.findings.push(found("HDR-21", Class::Note, Evidence::Received));
    let cases = [noted];
    let strict = |text: &str| pins(text).with_strict(true).compare(&cases, &[]);
    let text = Draft { strict: true, ..draft(&cases) }.text();
    assert_eq!(strict(&text).drift, [], "{text}");
    assert_eq!(strict(&draft(&cases).text()).drift.len(), 1);
}

#[test]
fn a_draft_keeps_the_reasons_that_were_known() {
    let cases = [crash("header.surplus/A"), crash("header.other")];
    let known = pins(PINS).compare(&cases, &[]);
    let text = Draft { known: Some(&known), ..draft(&cases) }.text();
    assert!(text.contains("reason = \"slice out of range\"\nlink = \"https://example.org/1\""), "{text}");
    assert_eq!(text.matches("not explained yet").count(), 1, "{text}");
}

#[test]
fn a_draft_of_a_run_that_ended_early_says_so() {
    assert!(Draft { incomplete: true, ..draft(&[]) }.text().contains("did not come to its end"));
}

#[test]
fn a_draft_reads_like_a_file_that_was_written_by_hand() {
    assert_eq!(
        draft(&[crash("header.surplus/DMA_MAP")]).text(),
        "\
# What this server is known to do wrong. A run with --expect and this file fails only where something changes.

# What can be tested, in the words of `probe`: what is lost of it is told, and not skipped.
offers = [
    \"dma\",
]

[[expect]]
case = \"header.surplus/DMA_MAP\"
requirement = \"HDR-19\"
outcome = \"crashed\"
reason = \"not explained yet: expected an error, got something else\"
"
    );
}

#[test]
fn a_file_with_a_mistake_is_refused_with_its_place() {
    let error = refusal(&PINS.replace("outcome =", "outcom ="));
    assert!(
        error.starts_with("pins.toml: TOML parse error at line 7") && error.contains("unknown field `outcom`"),
        "{error}"
    );
    let error = refusal(&PINS.replace("\"crashed\"", "\"crash\""));
    assert!(
        error.contains("unknown variant `crash`, expected one of `violation`, `any`, `note`, `crashed`"),
        "{error}"
    );
    let error = refusal(&PINS.replace("reason = \"slice out of range\"\n", ""));
    assert!(error.contains("missing field `reason`"), "{error}");
    assert_eq!(
        refusal(&PINS.replace("slice out of range", " ")),
        "pins.toml: [[expect]] number 1 (header.surplus/*): reason: it is empty; say why this is known"
    );
    assert_eq!(
        refusal(&PINS.replace("requirement = \"HDR-19\"\n", "")),
        "pins.toml: [[expect]] number 1 (header.surplus/*): requirement: it is missing; only an inconclusive case goes without (crashed)"
    );
    let error = refusal(&PINS.replace("surplus/*", "surplus/["));
    assert!(error.starts_with("pins.toml: [[expect]] number 1 (header.surplus/[): case: "), "{error}");
}
