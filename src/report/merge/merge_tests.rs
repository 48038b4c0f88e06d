//! What parts of runs come to together, and what is said of reports that are none.

use pretty_assertions::assert_eq;

use super::*;
use crate::report::collector::Collector;
use crate::report::{Context, sample};
use crate::run::Event;
use crate::target::Region;
use crate::verdict::{CaseResult, Expectations, Scope};

/// How a part ends, and how many of its cases were played.
type Ending = fn(usize) -> (Event, usize);

/// A run of which parts are made.
struct Run {
    register: Register,
    cases: Vec<CaseRecord>,
    count: usize,
    strict: bool,
    pins: Option<&'static str>,
    generated: fn(usize) -> Option<Generated>,
    end: Ending,
}

impl Run {
    fn of(cases: Vec<CaseRecord>, count: usize) -> Run {
        let complete = |_| (sample::ended(), usize::MAX);
        let register = sample::register();
        Run { register, cases, count, strict: false, pins: None, generated: |_| None, end: complete }
    }

    /// The report of one part, or of all.
    fn report(&self, part: Option<usize>) -> Report {
        let all: Vec<String> = self.cases.iter().map(|case| case.name.clone()).collect();
        let shard = part.map(|index| Shard::of(index, self.count, all.iter().map(String::as_str)));
        let mut cases = self.cases.clone();
        cases.retain(|case| shard.is_none_or(|shard| shard.has(&case.name)));
        let selected = sample::names(&cases);
        let scope = Scope {
            register: &self.register,
            profile: crate::Profile::V0_9_2,
            all: &all,
            selected,
            elsewhere: &[],
            generates: false,
            sharded: part.is_some(),
        };
        let pins = self.pins.map(|text| Expectations::parse("pins.toml", text).unwrap().within(&scope));
        let context = Context {
            shard,
            selected,
            strict: self.strict,
            expectations: pins.as_ref(),
            ..sample::context(&self.register)
        };
        let (end, played) = (self.end)(part.unwrap_or(0));
        let generated = (self.generated)(part.unwrap_or(0));
        if selected.is_empty() && generated.is_none() {
            let nothing = Some("the part has no case".to_owned());
            return Collector::of_everything(context).event(&Event::Ended(End { nothing, ..End::default() })).unwrap();
        }
        cases.truncate(played);
        sample::report_in(context, cases, generated, end)
    }

    fn shares(&self) -> Vec<Share> {
        let share = |index| Share { file: format!("{index}.json"), report: self.report(Some(index)) };
        (1..=self.count).map(share).collect()
    }

    fn merged(&self) -> Merged {
        merge(self.shares(), &self.register, &[]).unwrap()
    }

    /// What is said of the parts after something was changed in one.
    fn refused(&self, change: impl FnOnce(&mut Vec<Share>)) -> String {
        let mut shares = self.shares();
        change(&mut shares);
        merge(shares, &self.register, &[]).unwrap_err().to_string()
    }
}

/// Without what a report of parts has and that of a run has not.
fn bare(report: Report) -> Report {
    Report { command: Vec::new(), parts: Vec::new(), ..report }
}

/// The part in which the sample's case `header.surplus/DMA_MAP` is, of three.
fn of_surplus() -> usize {
    shard_of("header.surplus/DMA_MAP", 3)
}

#[test]
fn the_parts_of_a_run_come_to_what_the_run_comes_to() {
    for count in [1, 2, 3, 4, 7, 20] {
        let run = Run::of(sample::cases(), count);
        let mut shares = run.shares();
        shares.reverse();
        let merged = merge(shares, &run.register, &["merge".to_owned()]).unwrap();
        assert_eq!(merged.report.command, ["merge"]);
        let parts: Vec<usize> = merged.report.parts.iter().map(|part| part.index).collect();
        assert_eq!(parts, (1..=count).collect::<Vec<_>>());
        assert_eq!(bare(merged.report), bare(run.report(None)), "{count} parts");
    }
}

#[test]
fn what_several_parts_break_in_one_way_has_one_cause() {
    let names = ["header.surplus/DMA_MAP", "header.surplus/DMA_UNMAP", "header.surplus/DEVICE_RESET"];
    let breaks = |(name, id): (&str, &str)| {
        let mut case = sample::crash(name);
        case.findings[0].requirement = id.to_owned();
        case
    };
    let cases: Vec<CaseRecord> = names.into_iter().zip(["HDR-19", "HDR-20", "HDR-21"]).map(breaks).collect();
    let run = Run::of(cases, 7);
    // No part has all three.
    assert!(run.shares().iter().all(|share| share.report.causes.is_empty()));
    let report = run.merged().report;
    assert_eq!((report.causes[0].cases, report.causes[0].requirements.len()), (3, 3));
    assert_eq!(bare(report), bare(run.report(None)));
}

#[test]
fn a_part_without_a_case_is_no_fault() {
    let run = Run::of(vec![sample::case("version.plain", CaseResult::Pass, None)], 3);
    let empty = run.shares().into_iter().filter(|share| !share.has_begun()).count();
    assert_eq!(empty, 2);
    let Merged { report, end } = run.merged();
    assert_eq!((report.exit_code, report.complete, report.faults.len()), (0, true, 0));
    assert!(end.complete);
}

#[test]
fn parts_that_waited_for_other_times_are_no_run() {
    let run = Run::of(sample::cases(), 2);
    let told = run.refused(|shares| shares[1].report.timeout = "9s".to_owned());
    assert!(told.contains("(give each part the same --timeout): 2s and 9s"), "{told}");
}

#[test]
fn parts_of_other_cases_are_no_run_though_they_are_as_many() {
    let named = |part: usize| {
        let names = (0..).map(|n| format!("part.n{n}")).filter(move |name| shard_of(name, 2) == part);
        names.map(|name| sample::case(&name, CaseResult::Pass, None)).take(2).collect::<Vec<_>>()
    };
    let [one, two] = [0, 1].map(|n| Run::of(vec![named(1)[n].clone(), named(2)[n].clone()], 2));
    let other = two.shares().remove(1);
    let told = one.refused(|shares| shares[1] = other);
    let why = "1.json and 2.json are no parts of one run: they differ in the cases that were selected in all (the digest of their names";
    assert!(told.starts_with(why), "{told}");
    // What does not say it may be of any.
    let unsaid = one.refused(|shares| shares[1].report.shard.as_mut().unwrap().selected_sha256 = None);
    assert!(unsaid.starts_with("2.json does not say which cases were selected for all parts"), "{unsaid}");
    let forged = one.refused(|shares| {
        for share in shares {
            share.report.shard.as_mut().unwrap().selected_sha256 = Some(Selection::of(["part.other"]));
        }
    });
    assert!(forged.starts_with("the parts 1.json, 2.json have other cases than those that were selected"), "{forged}");
}

#[test]
fn parts_of_which_none_has_a_case_are_nothing() {
    let report = Run::of(Vec::new(), 2).merged().report;
    assert_eq!((report.exit_code, report.complete), (5, false));
    assert_eq!(report.faults, ["the part has no case"]);
}

#[test]
fn notes_count_where_they_counted_in_the_parts() {
    let mut noted = sample::wrong_errno();
    noted.findings.remove(0);
    noted.checks.clear();
    noted.result = CaseResult::Pass;
    let run = Run::of(vec![noted, sample::case("version.plain", CaseResult::Pass, None)], 2);
    assert_eq!(run.merged().report.exit_code, 0);
    let strict = Run { strict: true, ..run };
    let report = strict.merged().report;
    assert_eq!((report.exit_code, report.strict), (2, true));
    assert_eq!(bare(report), bare(strict.report(None)));
}

#[test]
fn what_is_pinned_is_compared_with_the_whole() {
    let crashes =
        ["DMA_MAP", "DMA_UNMAP", "DEVICE_RESET"].map(|command| sample::crash(&format!("header.surplus/{command}")));
    let known = "[[expect]]\ncase = \"header.surplus/*\"\nrequirement = \"HDR-19\"\noutcome = \"crashed\"\nreason = \"known\"\n";
    let mut cases = crashes.to_vec();
    cases.push(sample::case("header.surplus/VERSION", CaseResult::Pass, None));
    cases.push(sample::case("version.plain", CaseResult::Pass, None));
    for count in 1..=4 {
        let run = Run { pins: Some(known), ..Run::of(cases.clone(), count) };
        let report = run.merged().report;
        assert_eq!(report.exit_code, 0, "{:?}", report.expectations);
        assert_eq!(bare(report), bare(run.report(None)));
    }
    // No part can say that nothing shows it any more.
    let passes = cases.iter().map(|case| sample::case(&case.name, CaseResult::Pass, None)).collect();
    let run = Run { pins: Some(known), ..Run::of(passes, 3) };
    assert_eq!(run.shares().iter().filter(|share| share.report.exit_code == 6).count(), 0);
    let report = run.merged().report;
    assert_eq!(report.exit_code, 6);
    assert_eq!(bare(report), bare(run.report(None)));
}

#[test]
fn what_was_generated_is_added_up() {
    // 7 sequences of three parts: 0 3 6, 1 4, 2 5.
    let generated = |part| match part {
        0 => Some(Generated { sequences: 7, steps: 70, answered: 66, failed: 3, seed: 7 }),
        1 => Some(Generated { sequences: 3, steps: 30, answered: 29, failed: 3, seed: 7 }),
        _ => Some(Generated { sequences: 2, steps: 20, answered: 18 + part as u64 % 2, failed: 0, seed: 7 }),
    };
    let run = Run { generated, ..Run::of(sample::cases(), 3) };
    assert_eq!(bare(run.merged().report), bare(run.report(None)));
    let more = |shares: &mut Vec<Share>| shares[1].report.generated.as_mut().unwrap().sequences = 4;
    assert_eq!(
        run.refused(more),
        "1.json has 3 generated sequences, 2.json has 4, and these are no parts of one number: give each part the same --generate"
    );
    let none = |shares: &mut Vec<Share>| shares[2].report.generated = None;
    assert!(run.refused(none).ends_with("give each part the same --generate"));
}

#[test]
fn what_several_parts_generated_for_one_cause_is_one_case() {
    let mut run = Run::of(sample::cases(), 2);
    run.generated = |part| {
        Some(Generated { sequences: if part == 0 { 4 } else { 2 }, answered: 9, failed: 1, ..Generated::default() })
    };
    let mut shares = run.shares();
    for share in &mut shares {
        let mut drawn = sample::crash("generated.hdr-19");
        drawn.file = "kept/generated.hdr-19.case".to_owned();
        share.report.cases.push(drawn);
        share.report.totals.fail += 1;
        share.report.totals.selected += 1;
    }
    let report = merge(shares, &run.register, &[]).unwrap().report;
    let drawn: Vec<&CaseRecord> = report.cases.iter().filter(|case| case.name.starts_with(GENERATED)).collect();
    assert_eq!(drawn.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["generated.hdr-19"]);
    assert_eq!(drawn[0].reason.as_deref(), Some("2 sequences fail so"));
    assert_eq!((report.totals.fail, report.totals.selected, report.generated.unwrap().failed), (5, 11, 2));
    assert!(report.accounts());
}

#[test]
fn a_part_that_did_not_come_to_its_end_makes_the_whole_incomplete() {
    let ends: [(Ending, u8, &str); 5] = [
        (|_| (Event::Ended(End { interrupted: true, ..End::default() }), 0), 130, "the run was interrupted"),
        (|_| (Event::Ended(End { lost: Some("gone".to_owned()), ..End::default() }), 0), 4, "gone"),
        (|_| (Event::Ended(End { fault: Some("no disk".to_owned()), ..End::default() }), 0), 70, "no disk"),
        (
            |_| (Event::Ended(End { stopped: true, ..End::default() }), 1),
            2,
            "the run was stopped at the first failure, as --fail-fast asks",
        ),
        (|_| (Event::Ended(End::default()), 1), 2, "it did not come to its end"),
    ];
    for (end, code, sentence) in ends {
        let whole = Run::of(
            vec![sample::crash("header.surplus/DMA_MAP"), sample::case("version.plain", CaseResult::Pass, None)],
            3,
        );
        let early = Run { end, ..Run::of(whole.cases.clone(), 3) };
        let index = of_surplus();
        let mut shares = whole.shares();
        shares[index - 1] = early.shares().swap_remove(index - 1);
        let not_run = shares[index - 1].report.not_run.clone();
        let Merged { report, end } = merge(shares, &whole.register, &[]).unwrap();
        assert_eq!((report.exit_code, report.complete, end.complete), (code, false, false), "{sentence}");
        assert_eq!(report.faults, [format!("part {index} of 3 ({index}.json): {sentence}")]);
        assert_eq!(report.not_run, not_run);
        assert!(report.accounts());
    }
}

#[test]
fn the_worst_end_of_the_parts_is_that_of_the_whole() {
    let end: Ending = |part| {
        let end = match part {
            1 => End { lost: Some("gone".to_owned()), ..End::default() },
            2 => End { fault: Some("no disk".to_owned()), ..End::default() },
            _ => End { interrupted: true, ..End::default() },
        };
        (Event::Ended(end), 0)
    };
    let cases: Vec<CaseRecord> = (0..12).map(|n| sample::case(&format!("part.n{n}"), CaseResult::Pass, None)).collect();
    let all = Run { end, ..Run::of(cases.clone(), 3) };
    let complete = Run::of(cases, 3).shares();
    let with = |early: &[usize]| {
        let mut shares = all.shares();
        for (index, share) in complete.iter().enumerate().filter(|(index, _)| !early.contains(&(index + 1))) {
            shares[index] = share.clone();
        }
        merge(shares, &all.register, &[]).unwrap().report.exit_code
    };
    assert_eq!([with(&[]), with(&[1]), with(&[1, 2]), with(&[1, 2, 3])], [0, 4, 70, 130]);
}

#[test]
fn a_part_whose_target_was_never_reached_is_lost() {
    let mut run = Run::of(sample::cases(), 3);
    run.cases.retain(|case| case.result != CaseResult::Error);
    let mut shares = run.shares();
    let index = of_surplus();
    let shard = shares[index - 1].report.shard;
    let selected: Vec<String> =
        run.cases.iter().map(|case| case.name.clone()).filter(|name| shard.unwrap().has(name)).collect();
    let context = Context { shard, selected: &selected, ..sample::context(&run.register) };
    let lost = End { lost: Some("gpio: no such file".to_owned()), ..End::default() };
    shares[index - 1].report = Collector::of_everything(context).event(&Event::Ended(lost)).unwrap();
    let report = merge(shares, &run.register, &[]).unwrap().report;
    assert_eq!((report.exit_code, report.complete), (4, false));
    assert_eq!(report.faults, [format!("part {index} of 3 ({index}.json): gpio: no such file")]);
    assert_eq!(report.not_run, selected);
    assert_eq!(report.profile.used, "0.9.2");
}

#[test]
fn a_part_that_is_missing_or_there_twice_is_named() {
    let run = Run::of(sample::cases(), 3);
    assert_eq!(merge(Vec::new(), &run.register, &[]).unwrap_err().to_string(), "there is no report to merge");
    assert_eq!(
        run.refused(|shares| drop(shares.remove(1))),
        "part 2 of 3 is missing: there is part 1 in 1.json, part 3 in 3.json; run it (`--shard 2/3`), or add its report"
    );
    let twice = |shares: &mut Vec<Share>| {
        let again = Share { file: "again.json".to_owned(), ..shares[1].clone() };
        shares.push(again);
    };
    assert_eq!(run.refused(twice), "part 2 of 3 is there twice, in 2.json and in again.json: leave one of them out");
    let one = |shares: &mut Vec<Share>| {
        shares.truncate(1);
        shares[0].report.shard.as_mut().unwrap().count = usize::MAX;
    };
    assert!(run.refused(one).starts_with("part 2 of 18446744073709551615 is missing: there is part 1 in 1.json;"));
}

#[test]
fn parts_of_other_numbers_and_whole_runs_are_refused() {
    let run = Run::of(sample::cases(), 3);
    let whole = run.report(None);
    assert_eq!(
        run.refused(|shares| shares[0].report = whole),
        "1.json is the report of a whole run, and no part of one: only what `run --shard I/N` wrote is merged"
    );
    assert_eq!(
        run.refused(|shares| shares[2].report.shard.as_mut().unwrap().count = 4),
        "1.json is a part of 3, 3.json is a part of 4: merge the parts of one run"
    );
    for index in [0, 4] {
        assert_eq!(
            run.refused(|shares| shares[2].report.shard.as_mut().unwrap().index = index),
            format!("3.json says that it is part {index} of 3, which there is not")
        );
    }
}

#[test]
fn parts_of_different_runs_are_refused_with_what_differs() {
    let run = Run::of(sample::cases(), 3);
    let differ = |change: fn(&mut Report)| {
        let said = run.refused(|shares| change(&mut shares[1].report));
        let what = said.split_once(" are no parts of one run: they differ in ");
        let (files, what) = what.unwrap_or_else(|| panic!("{said}"));
        assert!(["1.json and 2.json", "2.json and 3.json"].contains(&files), "{said}");
        what.to_owned()
    };
    assert_eq!(
        differ(|report| report.harness.cases_sha256 = "4567".to_owned()),
        "their cases (the digest of the case files): 0123 and 4567"
    );
    assert_eq!(differ(|report| report.seed = None), "the seed (give each part the same --seed): 7 and none");
    assert_eq!(differ(|report| report.strict = true), "whether notes count: none and --strict");
    assert_eq!(
        differ(|report| report.shard.as_mut().unwrap().selected = 3),
        "the number of cases that were selected in all: 10 and 3"
    );
    assert_eq!(
        differ(|report| report.profile.used = "0.9.1".to_owned()),
        "the version that they are judged by: 0.9.2 and 0.9.1"
    );
    assert_eq!(
        differ(|report| report.target.discovered.regions.push(Region::default())),
        "what the target offers: regions"
    );
    assert_eq!(
        differ(|report| report.target.discovered.capabilities = serde_json::json!({})),
        "what the target offers: capabilities"
    );
    let word =
        |report: &mut Report| drop(report.target.discovered.has.insert("dma".to_owned(), Has::Yes(BTreeMap::new())));
    assert_eq!(differ(word), "what the target offers: dma");
    let pins = |report: &mut Report| report.expectations = Some(Comparison::default());
    assert_eq!(differ(pins), "the pinned expectations (the digest of the file): none and ");
    let against = |report: &mut Report| report.differential = Some(Box::default());
    assert_eq!(differ(against), "the server of --against: none and , which offers []");
}

#[test]
fn what_the_probe_has_in_other_words_is_no_difference() {
    let run = Run::of(sample::cases(), 3);
    let mut shares = run.shares();
    let found = &mut shares[1].report.target.discovered;
    found.troubles = vec!["another time".to_owned()];
    found.has.insert("dma".to_owned(), Has::No("it was silent".to_owned()));
    let report = merge(shares, &run.register, &[]).unwrap().report;
    assert_eq!(report.target.discovered.troubles.len(), 2);
}

#[test]
fn what_another_harness_made_is_refused() {
    let run = Run::of(sample::cases(), 3);
    let said = run.refused(|shares| shares[1].report.harness.version = "9.9.9".to_owned());
    assert!(said.starts_with("2.json was made by vfio-user-conformance 9.9.9 with register "), "{said}");
    assert!(said.ends_with(": merge the parts with the program that made them"), "{said}");
    let said = run.refused(|shares| shares[2].report.harness.register_sha256 = "89ab".to_owned());
    assert!(said.starts_with("3.json was made by") && said.contains("with register 89ab, and this is"), "{said}");
}

#[test]
fn results_that_are_not_accounted_for_are_refused() {
    let run = Run::of(sample::cases(), 3);
    let index = of_surplus();
    let again = format!("{index}.json does not account for every case of its part: run it again (`--shard {index}/3`)");
    assert_eq!(run.refused(|shares| shares[index - 1].report.totals.selected += 1), again);
    assert_eq!(run.refused(|shares| drop(shares[index - 1].report.cases.pop())), again);
    let twice = |shares: &mut Vec<Share>| {
        let report = &mut shares[index - 1].report;
        report.cases.push(report.cases[0].clone());
        report.totals = Totals { selected: report.cases.len(), ..Totals::of(&report.cases) };
    };
    assert_eq!(run.refused(twice), again);
    let fewer = |shares: &mut Vec<Share>| {
        let report = &mut shares[index - 1].report;
        report.cases.pop();
        report.totals = Totals::of(&report.cases);
    };
    assert_eq!(
        run.refused(fewer),
        "the parts 1.json, 2.json, 3.json have 9 cases, and 10 were selected: a report is not as it was written"
    );
}

#[test]
fn a_case_stands_in_its_own_part_and_in_no_other() {
    let run = Run::of(sample::cases(), 3);
    let (index, name) = (of_surplus(), "header.surplus/DMA_MAP");
    let other = index % 3 + 1;
    let add = |shares: &mut Vec<Share>| {
        let report = &mut shares[other - 1].report;
        report.cases.push(sample::crash(name));
        report.totals = Totals::of(&report.cases);
    };
    let (first, second) = (index.min(other), index.max(other));
    assert_eq!(
        run.refused(add),
        format!(
            "the case {name} stands in two parts, in {first}.json and in {second}.json: merge the parts of one run"
        )
    );
    let moved = |shares: &mut Vec<Share>| {
        let report = &mut shares[index - 1].report;
        report.cases.retain(|case| case.name != name);
        report.totals = Totals::of(&report.cases);
        add(shares);
    };
    assert_eq!(
        run.refused(moved),
        format!(
            "the case {name} stands in {other}.json, which is part {other} of 3, and belongs to part {index}: the report was not made by \
             `run --shard {other}/3`"
        )
    );
}
