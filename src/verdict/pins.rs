//! Pinned expectations in the reports of the parts of a run, and what all parts together say of them.

use serde::{Deserialize, Serialize};

use super::expectation::Entry;
use super::{CaseRecord, Comparison, Drift, Expectation, Expectations, Observed};

/// What is pinned of the cases of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The entries that speak of a case of the part, or of what is generated.
    pub entries: Vec<Pin>,
}

/// One entry of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Which one of the file it is, from 1.
    pub number: usize,
    /// The cases' name, with globs.
    pub case: String,
    /// The requirement's id; `None` only for an inconclusive case.
    pub requirement: Option<String>,
    /// What is pinned.
    pub outcome: Observed,
    /// Why this is known.
    pub reason: String,
    /// Where more is written of it.
    pub link: Option<String>,
    /// How many cases there are of which it speaks, in whatever part.
    pub cases: usize,
}

/// An entry of a report that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("the entry for {case} that it has of the pinned expectations is none: {error}")]
pub struct PinError {
    case: String,
    error: globset::Error,
}

impl Expectations {
    /// What is pinned, for the report of a part.
    pub fn pins(&self) -> Pins {
        let entries = self.entries.iter().map(|entry| Pin {
            number: entry.number,
            case: entry.case.clone(),
            requirement: entry.requirement.clone(),
            outcome: entry.outcome,
            reason: entry.reason.clone(),
            link: entry.link.clone(),
            cases: entry.cases,
        });
        Pins { sha256: self.sha256.clone(), entries: entries.collect() }
    }
}

impl Comparison {
    /// Compares the run whose parts say this, and which came to these cases, with what is pinned. What one part did not see
    /// another one may have.
    ///
    /// # Errors
    /// For the entry of a part that makes no sense.
    pub fn of_parts(
        parts: &[&Comparison],
        cases: &[CaseRecord],
        not_run: &[String],
        strict: bool,
        cut_short: bool,
    ) -> Result<Comparison, PinError> {
        let mut pins: Vec<&Pin> =
            parts.iter().filter_map(|part| part.pins.as_ref()).flat_map(|of| &of.entries).collect();
        pins.sort_by_key(|pin| pin.number);
        pins.dedup_by_key(|pin| pin.number);
        let names = || cases.iter().map(|case| &case.name).chain(not_run);
        let entries = pins.into_iter().map(|pin| {
            let mut entry = pin.entry()?;
            entry.partial = names().filter(|name| entry.covers(name)).count() < pin.cases;
            Ok(entry)
        });
        let expectations = Expectations {
            entries: entries.collect::<Result<_, _>>()?,
            strict,
            cut_short,
            misfits: distinct(parts, |drift| matches!(drift, Drift::NoCase { .. } | Drift::NoRequirement { .. })),
            ..Expectations::default()
        };
        let mut comparison = expectations.compare(cases, not_run);
        comparison.drift.extend(distinct(parts, |drift| matches!(drift, Drift::Lacks { .. })));
        Ok(comparison)
    }
}

impl Pin {
    fn entry(&self) -> Result<Expectation, PinError> {
        let Pin { case, requirement, outcome, reason, link, .. } = self.clone();
        let entry = Entry { case, requirement, outcome, reason, link };
        Expectation::of(entry, self.number).map_err(|error| PinError { case: self.case.clone(), error })
    }
}

/// What the parts say alike, once: what is wrong with the file itself, or not offered, each part finds out.
fn distinct(parts: &[&Comparison], is_meant: impl Fn(&Drift) -> bool) -> Vec<Drift> {
    let mut all: Vec<Drift> = Vec::new();
    for drift in parts.iter().flat_map(|part| &part.drift).filter(|drift| is_meant(drift)) {
        if !all.contains(drift) {
            all.push(drift.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::Profile;
    use crate::requirement::Register;
    use crate::verdict::samples::{case, found};
    use crate::verdict::{CaseResult, Class, Evidence, Scope};

    const PINS: &str = r#"
offers = ["dma"]

[[expect]]
case = "part.*"
requirement = "HDR-19"
outcome = "violation"
reason = "known"

[[expect]]
case = "part.b"
requirement = "HDR-02"
outcome = "violation"
reason = "known, too"

[[expect]]
case = "gone.*"
requirement = "HDR-02"
outcome = "violation"
reason = "renamed"
"#;

    const ALL: [&str; 3] = ["part.a", "part.b", "other.c"];

    fn fails(name: &str, id: &str) -> CaseRecord {
        case(name, CaseResult::Fail, vec![found(id, Class::Violation, Evidence::Received)])
    }

    fn passes(name: &str) -> CaseRecord {
        case(name, CaseResult::Pass, Vec::new())
    }

    /// What the part that has these cases says.
    fn part(cases: &[CaseRecord]) -> Comparison {
        let register = Register::bundled().unwrap();
        let all = ALL.map(str::to_owned);
        let selected: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
        let scope = Scope {
            register: &register,
            profile: Profile::V0_9_2,
            all: &all,
            selected: &selected,
            elsewhere: &[],
            generates: false,
            sharded: true,
        };
        let expectations = Expectations::parse("pins.toml", PINS).unwrap().within(&scope);
        let mut comparison = expectations.compare(cases, &[]);
        comparison.drift.extend(expectations.lacking(|_| Some("it maps nothing".to_owned())));
        comparison.pins = Some(expectations.pins());
        comparison
    }

    fn whole(parts: &[&[CaseRecord]]) -> Vec<String> {
        let compared: Vec<Comparison> = parts.iter().map(|cases| part(cases)).collect();
        let of_parts: Vec<&Comparison> = compared.iter().collect();
        let whole = Comparison::of_parts(&of_parts, &parts.concat(), &[], false, false).unwrap();
        assert_eq!(whole.pins, None);
        // What a run of all of them says.
        assert_eq!(Comparison { pins: None, ..part(&parts.concat()) }, whole);
        whole.drift.iter().map(Drift::to_string).collect()
    }

    const EACH_TIME: [&str; 2] = [
        "gone.*: the entry on HDR-02 matches no case",
        "dma: pinned under `offers`, but what needs it was skipped: it maps nothing",
    ];

    #[test]
    fn what_one_part_has_met_is_no_drift_of_another() {
        let parts: [&[CaseRecord]; 3] =
            [&[fails("part.a", "HDR-19")], &[fails("part.b", "HDR-02")], &[passes("other.c")]];
        assert_eq!(whole(&parts), EACH_TIME);
    }

    #[test]
    fn what_no_part_has_met_is_drift_of_the_whole() {
        let (a, b): ([CaseRecord; 1], [CaseRecord; 1]) = ([passes("part.a")], [fails("part.b", "HDR-02")]);
        // Neither of the parts can say so.
        assert_eq!([&a, &b].map(|cases| part(cases).drift.len()), [2, 2]);
        let [gone, lacks] = EACH_TIME;
        assert_eq!(whole(&[&a, &b]), [gone, "part.*: \"violation\" on HDR-19 is pinned and no longer seen", lacks]);
    }

    #[test]
    fn what_was_selected_in_no_part_is_no_drift() {
        let [gone, lacks] = EACH_TIME;
        assert_eq!(whole(&[&[passes("part.a")], &[passes("other.c")]]), [gone, lacks]);
    }

    #[test]
    fn a_note_that_is_not_pinned_drifts_where_the_parts_are_strict() {
        let cases = [case("other.c", CaseResult::Pass, vec![found("HDR-19", Class::Note, Evidence::Received)])];
        let drift = |strict| {
            let whole = Comparison::of_parts(&[&part(&cases)], &cases, &[], strict, false).unwrap();
            whole.drift.into_iter().any(|drift| matches!(drift, Drift::Unexpected { .. }))
        };
        assert_eq!([false, true].map(drift), [false, true]);
    }

    #[test]
    fn what_is_pinned_for_drawn_sequences_may_still_be_seen_where_a_part_was_cut_short() {
        let cases = [passes("part.a")];
        let mut one = part(&cases);
        let pin = &mut one.pins.as_mut().unwrap().entries[0];
        (pin.case, pin.cases) = ("generated.hdr-19".to_owned(), 0);
        let drift = |cut_short| {
            let whole = Comparison::of_parts(&[&one], &cases, &[], false, cut_short).unwrap();
            whole.drift.iter().any(|drift| drift.to_string().starts_with("generated.hdr-19"))
        };
        assert_eq!([false, true].map(drift), [true, false]);
    }

    #[test]
    fn entries_are_counted_from_1() {
        let pins = Expectations::parse("pins.toml", PINS).unwrap().pins();
        assert_eq!(pins.entries.iter().map(|pin| pin.number).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn an_entry_that_is_no_glob_is_told() {
        let mut broken = part(&[passes("part.a")]);
        broken.pins.as_mut().unwrap().entries[0].case = "part.[".to_owned();
        let error = Comparison::of_parts(&[&broken], &[], &[], false, false).unwrap_err().to_string();
        assert!(error.starts_with("the entry for part.[ that it has of the pinned expectations is none"), "{error}");
    }
}
