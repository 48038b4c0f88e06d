//! What several searches found, each among its part of the sequences (`--shard`), as one search tells it.

use std::collections::{BTreeMap, BTreeSet};

use super::parting;
use super::search::{Cause, count, exchanged, told, violation};
use crate::verdict::{CaseRecord, CaseResult, Differential, Divergence};

/// What all of them found, each cause once: the shortest sequence that shows it, and how many do. `taken` are names that
/// other cases have.
pub(crate) fn found<'r>(records: impl IntoIterator<Item = &'r CaseRecord>, taken: &BTreeSet<&str>) -> Vec<CaseRecord> {
    let mut by_cause: BTreeMap<Cause, Vec<&CaseRecord>> = BTreeMap::new();
    let mut undecided: Vec<CaseRecord> = Vec::new();
    for record in records {
        match violation(record.findings.iter()).map(Cause::of) {
            Some(cause) => by_cause.entry(cause).or_default().push(record),
            None => undecided.push(record.clone()),
        }
    }
    let mut kept: Vec<CaseRecord> = Vec::new();
    for (cause, alike) in by_cause {
        let sum = alike.iter().map(|record| count(record)).fold(0, u64::saturating_add);
        // One that came back stands for one that did not.
        let shortest = |record: &&&CaseRecord| (record.result != CaseResult::Fail, exchanged(record).0);
        let Some(shown) = alike.iter().min_by_key(shortest) else { continue };
        let mut record = CaseRecord { name: free(cause.name(), &kept, taken), ..CaseRecord::clone(shown) };
        if sum > 1 && record.result == CaseResult::Fail {
            record.reason = Some(told(sum));
        }
        kept.push(record);
    }
    for record in undecided {
        let name = free(record.name.clone(), &kept, taken);
        kept.push(CaseRecord { name, ..record });
    }
    kept
}

/// A name that no other case has: a number behind it tells it from others.
fn free(base: String, kept: &[CaseRecord], taken: &BTreeSet<&str>) -> String {
    let is_free = |name: &str| !taken.contains(name) && kept.iter().all(|record| record.name != name);
    if is_free(&base) {
        return base;
    }
    (2..).map(|number| format!("{base}-{number}")).find(|name| is_free(name)).unwrap_or(base)
}

/// Where two servers part in all parts of the sequences, each cause once: the shortest sequence that shows it.
pub(crate) fn differential(parts: &[&Differential]) -> Option<Differential> {
    let mut whole = Differential { divergences: Vec::new(), ..Differential::clone(parts.first()?) };
    let sum = |of: fn(&Differential) -> u64| parts.iter().map(|part| of(part)).fold(0, u64::saturating_add);
    whole.sequences = sum(|part| part.sequences);
    whole.steps = sum(|part| part.steps);
    whole.answered = sum(|part| part.answered);
    whole.parted = sum(|part| part.parted);
    whole.alike = sum(|part| part.alike);
    whole.by_offer = sum(|part| part.by_offer);
    whole.unsure = sum(|part| part.unsure);
    let mut by_cause: BTreeMap<parting::Cause, Vec<&Divergence>> = BTreeMap::new();
    for divergence in parts.iter().flat_map(|part| &part.divergences) {
        by_cause.entry(parting::Cause::of(divergence)).or_default().push(divergence);
    }
    for alike in by_cause.into_values() {
        let sequences = alike.iter().map(|divergence| divergence.sequences).fold(0, u64::saturating_add);
        let shortest = alike.iter().min_by_key(|divergence| divergence.before.len());
        whole.divergences.extend(shortest.map(|shown| Divergence { sequences, ..Divergence::clone(shown) }));
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::session::{Entry, EntryField, Way};
    use crate::verdict::{Answered, Class, Evidence, Finding, Side};

    /// A failing sequence of so many messages that breaks a requirement, got this, and stands for so many.
    fn record(name: &str, requirement: &str, actual: &str, messages: usize, reason: Option<&str>) -> CaseRecord {
        let finding = Finding {
            requirement: requirement.to_owned(),
            class: Class::Violation,
            policy: Vec::new(),
            expected: "an error reply".to_owned(),
            actual: actual.to_owned(),
            step: 1,
            line: 2,
            message: None,
            field: None,
            evidence: Evidence::Received,
            instead: None,
            by_state: false,
            seen: None,
        };
        CaseRecord {
            name: name.to_owned(),
            parameters: Vec::new(),
            file: format!("kept/{name}.case"),
            line: 1,
            result: CaseResult::Fail,
            reason: reason.map(str::to_owned),
            requirements: Vec::new(),
            attempts: Vec::new(),
            checks: Vec::new(),
            findings: vec![finding],
            replay: String::new(),
            transcript: vec![entry(); messages],
            stderr: String::new(),
        }
    }

    fn entry() -> Entry {
        Entry {
            n: 1,
            client: "a".to_owned(),
            channel: "main".to_owned(),
            direction: Way::Sent,
            message: "DMA_MAP".to_owned(),
            length: 48,
            bytes: String::new(),
            fields: vec![EntryField { name: "argsz".to_owned(), value: "32".to_owned(), offset: 16, length: 4 }],
            fds: 0,
            cuts: Vec::new(),
        }
    }

    fn told_of(records: &[CaseRecord], taken: &[&str]) -> Vec<(String, usize, Option<String>)> {
        let found = found(records, &taken.iter().copied().collect());
        found.into_iter().map(|record| (record.name, record.transcript.len(), record.reason)).collect()
    }

    #[test]
    fn a_cause_that_several_parts_found_is_told_once_by_the_shortest_sequence() {
        let records = [
            record("generated.dmap-05", "DMAP-05", "a reply with 17", 4, Some("3 sequences fail so")),
            record("generated.dmap-05", "DMAP-05", "a reply with 40", 2, None),
        ];
        assert_eq!(
            told_of(&records, &[]),
            [("generated.dmap-05".to_owned(), 2, Some("4 sequences fail so".to_owned()))]
        );
        let once = &records[1..];
        assert_eq!(told_of(once, &[]), [("generated.dmap-05".to_owned(), 2, None)]);
    }

    #[test]
    fn other_causes_of_one_requirement_have_names_of_their_own() {
        let records = [
            record("generated.dmap-05", "DMAP-05", "a reply", 4, None),
            record("generated.dmap-05", "DMAP-05", "silence", 2, None),
            record("generated.hdr-02", "HDR-02", "silence", 1, None),
        ];
        let names = |taken| told_of(&records, taken).into_iter().map(|(name, ..)| name).collect::<Vec<_>>();
        assert_eq!(names(&[]), ["generated.dmap-05", "generated.dmap-05-2", "generated.hdr-02"]);
        assert_eq!(names(&["generated.dmap-05"])[..2], ["generated.dmap-05-2", "generated.dmap-05-3"]);
    }

    #[test]
    fn what_came_to_no_verdict_is_kept_as_it_is() {
        let undecided = |name| CaseRecord {
            result: CaseResult::Inconclusive,
            findings: Vec::new(),
            ..record(name, "HDR-14", "silence", 3, Some("a deadline passed, and did not pass again"))
        };
        let records = [undecided("generated.hdr-14"), undecided("generated.hdr-14")];
        let names: Vec<String> = told_of(&records, &[]).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["generated.hdr-14", "generated.hdr-14-2"]);
    }

    fn divergence(command: &str, before: usize, sequences: u64) -> Divergence {
        let side = |answered| Side {
            answered: Some(answered),
            said: String::new(),
            reply: None,
            findings: Vec::new(),
            replay: String::new(),
        };
        Divergence {
            command: command.to_owned(),
            differs: None,
            step: 1,
            before: vec![entry(); before],
            sent: None,
            a: side(Answered::Success),
            b: side(Answered::Error(22)),
            sequences,
            seen: None,
            file: String::new(),
        }
    }

    #[test]
    fn where_two_servers_part_is_added_up() {
        let part = |divergences: Vec<Divergence>| Differential {
            against: "other".to_owned(),
            sequences: 10,
            steps: 50,
            answered: 40,
            parted: 3,
            alike: 1,
            by_offer: 2,
            unsure: 4,
            divergences,
            ..Differential::default()
        };
        let one = part(vec![divergence("DMA_MAP", 5, 2), divergence("VERSION", 0, 1)]);
        let two = part(vec![divergence("DMA_MAP", 3, 3)]);
        let whole = differential(&[&one, &two]).unwrap();
        let counts =
            [whole.sequences, whole.steps, whole.answered, whole.parted, whole.alike, whole.by_offer, whole.unsure];
        assert_eq!(counts, [20, 100, 80, 6, 2, 4, 8]);
        assert_eq!(whole.against, "other");
        assert_eq!(whole.divergences, [divergence("DMA_MAP", 3, 5), divergence("VERSION", 0, 1)]);
        assert_eq!(differential(&[]), None);
    }
}
