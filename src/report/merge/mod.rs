//! The reports of all parts of a run (`--shard I/N`) into the one that the whole run would have made.

mod error;

use std::collections::{BTreeMap, BTreeSet};

pub use error::MergeError;

use super::account::Account;
use super::collector::{in_order, judged_by};
use super::document::{Part, Profile, Target};
use super::{ExitCode, Harness, Report, Selection, Shard, Totals};
use crate::generate::{GENERATED, differential, found};
use crate::requirement::Register;
use crate::run::{End, Generated, shard_of};
use crate::target::{Discovered, Has};
use crate::verdict::{CaseRecord, Comparison, causes, statuses};

/// The report of one part, and the file that it is from.
#[derive(Debug, Clone)]
pub struct Share {
    /// The file, for people.
    pub file: String,
    /// What it says.
    pub report: Report,
}

/// What the parts come to.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The report of the whole.
    pub report: Report,
    /// How the whole ended: as the worst of its parts did.
    pub end: End,
}

/// Makes one report of those of all parts of a run. What can be made of the cases is made anew, and what cannot be is
/// added up; `command` is the command line that asks for it.
///
/// # Errors
/// A sentence where the reports are not all parts of one run.
pub fn merge(mut shares: Vec<Share>, register: &Register, command: &[String]) -> Result<Merged, MergeError> {
    shares.sort_by_key(|share| share.report.shard.map(|shard| shard.index));
    for share in &shares {
        share.is_a_part(register)?;
    }
    all_parts(&shares)?;
    let first = shares.first().ok_or(MergeError::Nothing)?;
    for share in shares.iter().skip(1) {
        alike(first, share)?;
    }
    let begun: Vec<&Share> = shares.iter().filter(|share| share.has_begun()).collect();
    for pair in begun.windows(2) {
        if let [one, two] = pair {
            alike_targets(one, two)?;
        }
    }
    let (selected, mut cases) = all_cases(&shares)?;
    all_sequences(&begun)?;
    in_order(&mut cases);
    let end = end(&shares);
    let account = Account::of(&selected, &cases, end.complete);
    let mut faults = account.faults;
    faults.extend(shares.iter().filter(|share| !share.is_empty()).flat_map(Share::faults));
    faults.extend(end.nothing.clone());
    let known = begun.first().copied();
    let used = known.and_then(|share| share.report.profile.used.parse().ok());
    let report = Report {
        schema: first.report.schema.clone(),
        command: command.to_vec(),
        platform: joined(shares.iter().map(|share| share.report.platform.as_str())),
        harness: first.report.harness.clone(),
        target: Target {
            how: joined(shares.iter().map(|share| share.report.target.how.as_str())),
            discovered: known.map_or_else(Discovered::default, |share| Discovered {
                troubles: troubles(&begun),
                ..share.report.target.discovered.clone()
            }),
        },
        profile: Profile {
            asked: joined(shares.iter().map(|share| share.report.profile.asked.as_str())),
            used: used.map_or_else(String::new, |used: crate::Profile| used.to_string()),
            why: joined(begun.iter().map(|share| share.report.profile.why.as_str())),
        },
        seed: first.report.seed,
        strict: first.report.strict,
        timeout: first.report.timeout.clone(),
        one_at_a_time: first.report.one_at_a_time,
        shard: None,
        parts: shares.iter().map(Share::part).collect(),
        complete: end.complete,
        exit_code: 0,
        said: String::new(),
        totals: Totals { selected: account.selected, not_run: account.not_run.len(), ..Totals::of(&cases) },
        generated: generated(&begun),
        differential: differential(
            &begun.iter().filter_map(|share| share.report.differential.as_deref()).collect::<Vec<_>>(),
        )
        .map(Box::new),
        causes: causes(&cases),
        requirements: statuses(register, judged_by(used, &first.report.profile.asked), &cases),
        expectations: expectations(&shares, &begun, &cases, &account.not_run, end.complete)?,
        faults,
        not_run: account.not_run,
        cases,
    };
    Ok(Merged { report: report.ended(&end), end })
}

impl Share {
    /// It is a part that this program made, and accounts for each of its cases.
    fn is_a_part(&self, register: &Register) -> Result<(), MergeError> {
        let file = self.file.clone();
        let Some(shard) = self.report.shard else { return Err(MergeError::Whole { file }) };
        let Shard { index, count, .. } = shard;
        if index == 0 || index > count {
            return Err(MergeError::NoPart { file, index, count });
        }
        let ours = Harness {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cases_sha256: self.report.harness.cases_sha256.clone(),
            register_sha256: register.sha256().to_owned(),
        };
        if self.report.harness != ours {
            let told = |harness: &Harness| {
                let Harness { name, version, register_sha256, .. } = harness;
                let register: String = register_sha256.chars().take(12).collect();
                format!("{name} {version} with register {register}")
            };
            return Err(MergeError::OtherHarness { file, theirs: told(&self.report.harness), ours: told(&ours) });
        }
        if shard.selected_sha256.is_none() {
            return Err(MergeError::Unsaid { file, index, count });
        }
        if !self.report.accounts() {
            return Err(MergeError::Unaccounted { file, index, count });
        }
        Ok(())
    }

    fn shard(&self) -> Shard {
        self.report.shard.unwrap_or_else(|| Shard::of(1, 1, []))
    }

    /// Its target was spoken to.
    fn has_begun(&self) -> bool {
        !self.report.profile.used.is_empty()
    }

    /// No case is in this part, which is no fault of it.
    fn is_empty(&self) -> bool {
        self.report.exit_code == ExitCode::NothingRan.number() && !self.has_begun() && self.report.totals.selected == 0
    }

    /// The case was written by generation.
    fn generated(&self, case: &CaseRecord) -> bool {
        self.report.generated.is_some() && case.name.starts_with(GENERATED)
    }

    /// What kept it from its end, with its name.
    fn faults(&self) -> Vec<String> {
        let Shard { index, count, .. } = self.shard();
        let of_part = |fault: &str| format!("part {index} of {count} ({}): {fault}", self.file);
        let mut faults: Vec<String> = self.report.faults.iter().map(|fault| of_part(fault)).collect();
        if faults.is_empty() && !self.report.complete {
            faults.push(of_part("it did not come to its end"));
        }
        faults
    }

    fn part(&self) -> Part {
        Part {
            index: self.shard().index,
            command: self.report.command.clone(),
            platform: self.report.platform.clone(),
            complete: self.report.complete,
        }
    }
}

/// Each part of one number is there once.
fn all_parts(shares: &[Share]) -> Result<(), MergeError> {
    let mut files: BTreeMap<usize, &str> = BTreeMap::new();
    let Some(first) = shares.first() else { return Err(MergeError::Nothing) };
    let count = first.shard().count;
    for share in shares {
        let Shard { index, count: other, .. } = share.shard();
        let (first, file) = (first.file.clone(), share.file.clone());
        if other != count {
            return Err(MergeError::OtherCount { first, of_first: count, file, of_other: other });
        }
        if let Some(first) = files.insert(index, &share.file) {
            return Err(MergeError::Twice { index, count, first: first.to_owned(), file });
        }
    }
    match (1..=count).find(|index| !files.contains_key(index)) {
        None => Ok(()),
        Some(missing) => {
            let present: Vec<String> = files.iter().map(|(index, file)| format!("part {index} in {file}")).collect();
            Err(MergeError::Missing { missing, count, present: present.join(", ") })
        }
    }
}

/// They are parts of one run, as far as is known of those, too, that never spoke to the target.
fn alike(first: &Share, other: &Share) -> Result<(), MergeError> {
    let (one, two) = (&first.report, &other.report);
    let seed = |report: &Report| report.seed.map_or("none".to_owned(), |seed| seed.to_string());
    let selected = |share: &Share| share.shard().selected.to_string();
    let names = |share: &Share| share.shard().selected_sha256.map_or_else(String::new, |names| names.to_string());
    let strict = |report: &Report| if report.strict { "--strict" } else { "none" }.to_owned();
    let pairs = [
        (
            "their cases (the digest of the case files)",
            one.harness.cases_sha256.clone(),
            two.harness.cases_sha256.clone(),
        ),
        ("the number of cases that were selected in all", selected(first), selected(other)),
        (
            "the cases that were selected in all (the digest of their names; give each part the same filters)",
            names(first),
            names(other),
        ),
        ("the seed (give each part the same --seed)", seed(one), seed(two)),
        ("whether notes count", strict(one), strict(two)),
        ("the deadline for a reply (give each part the same --timeout)", one.timeout.clone(), two.timeout.clone()),
    ];
    pairs.into_iter().try_for_each(|(what, one, two)| same(first, other, what, &one, &two))
}

/// What two parts found of the target is the same.
fn alike_targets(first: &Share, other: &Share) -> Result<(), MergeError> {
    let (one, two) = (&first.report, &other.report);
    same(first, other, "the version that they are judged by", &one.profile.used, &two.profile.used)?;
    if let Some(what) = offered_otherwise(&one.target.discovered, &two.target.discovered) {
        return Err(MergeError::Differ { first: first.file.clone(), file: other.file.clone(), what });
    }
    let pins = |report: &Report| {
        let compared = report.expectations.as_ref().map(|compared| compared.pins.as_ref());
        compared.map_or("none".to_owned(), |pins| pins.map_or_else(String::new, |pins| pins.sha256.clone()))
    };
    same(first, other, "the pinned expectations (the digest of the file)", &pins(one), &pins(two))?;
    let against = |report: &Report| {
        let against =
            report.differential.as_ref().map(|found| format!("{}, which offers {:?}", found.against, found.offers));
        against.unwrap_or_else(|| "none".to_owned())
    };
    same(first, other, "the server of --against", &against(one), &against(two))
}

fn same(first: &Share, other: &Share, what: &str, one: &str, two: &str) -> Result<(), MergeError> {
    if one == two {
        return Ok(());
    }
    let what = format!("{what}: {one} and {two}");
    Err(MergeError::Differ { first: first.file.clone(), file: other.file.clone(), what })
}

/// What the target offered to one and not to the other, if anything. What went wrong while asking may be told in other
/// words by each.
fn offered_otherwise(one: &Discovered, two: &Discovered) -> Option<String> {
    let word = |has: Option<&Has>| match has {
        Some(Has::Yes(values)) => Some(values.clone()),
        Some(Has::No(_)) | None => None,
    };
    let words: BTreeSet<&String> = one.has.keys().chain(two.has.keys()).collect();
    let need = words.into_iter().find(|need| word(one.has.get(*need)) != word(two.has.get(*need)));
    if let Some(need) = need {
        return Some(format!("what the target offers: {need}"));
    }
    let bare = |found: &Discovered| Discovered {
        has: BTreeMap::new(),
        troubles: Vec::new(),
        unanswered: Vec::new(),
        ..found.clone()
    };
    let [one, two] = [one, two].map(|found| serde_json::to_value(bare(found)).unwrap_or_default());
    let part = one.as_object()?.iter().find(|(key, value)| two.get(key.as_str()) != Some(value));
    let other = two.as_object()?.keys().find(|key| one.get(key.as_str()).is_none());
    let key = part.map(|(key, _)| key).or(other)?;
    Some(format!("what the target offers: {key}"))
}

/// The names of all cases that were selected, and all records: those of a name that generation gave, once for each cause.
fn all_cases(shares: &[Share]) -> Result<(Vec<String>, Vec<CaseRecord>), MergeError> {
    let mut stand: BTreeMap<&str, &Share> = BTreeMap::new();
    let (mut selected, mut cases) = (Vec::new(), Vec::new());
    for share in shares {
        let Shard { index, count, .. } = share.shard();
        let scripted: Vec<&CaseRecord> = share.report.cases.iter().filter(|case| !share.generated(case)).collect();
        for name in scripted.iter().map(|case| &case.name).chain(&share.report.not_run) {
            let file = share.file.clone();
            if let Some(first) = stand.insert(name, share) {
                if first.file == file {
                    return Err(MergeError::Unaccounted { file, index, count });
                }
                return Err(MergeError::InTwo { case: name.clone(), first: first.file.clone(), file });
            }
            selected.push(name.clone());
        }
        cases.extend(scripted.into_iter().cloned());
    }
    for (name, share) in &stand {
        let Shard { index, count, .. } = share.shard();
        let belongs = shard_of(name, count);
        if belongs != index {
            let (case, file) = ((*name).to_owned(), share.file.clone());
            return Err(MergeError::Elsewhere { case, file, index, count, belongs });
        }
    }
    let of_all = shares.first().map_or(0, |share| share.shard().selected);
    if selected.len() != of_all {
        return Err(MergeError::Fewer { files: files(shares), have: selected.len(), selected: of_all });
    }
    let names = Selection::of(selected.iter().map(String::as_str));
    if shares.iter().any(|share| share.shard().selected_sha256 != Some(names)) {
        return Err(MergeError::Others { files: files(shares) });
    }
    let drawn = shares.iter().flat_map(|share| share.report.cases.iter().filter(|case| share.generated(case)));
    cases.extend(found(drawn, &stand.keys().copied().collect()));
    Ok((selected, cases))
}

/// Parts that came to their end drew each so many sequences as are theirs of one number.
fn all_sequences(begun: &[&Share]) -> Result<(), MergeError> {
    let drawn = |share: &Share| share.report.generated.map_or(0, |generated| generated.sequences);
    let Some(first) = begun.first() else { return Ok(()) };
    if begun.iter().any(|share| !share.report.complete) {
        return Ok(());
    }
    let sum = begun.iter().map(|share| drawn(share)).fold(0, u64::saturating_add);
    for share in begun {
        let Shard { index, count, .. } = share.shard();
        let due = sum.saturating_add((count - index) as u64) / count as u64;
        if drawn(share) != due {
            // The one that shows it best is another one than this.
            let other = begun.iter().find(|other| other.file != share.file).unwrap_or(first);
            return Err(MergeError::Sequences {
                first: other.file.clone(),
                of_first: drawn(other),
                file: share.file.clone(),
                of_other: drawn(share),
            });
        }
    }
    Ok(())
}

/// How the whole ended. A report says it by its exit code, of which the first that applies is told.
fn end(shares: &[Share]) -> End {
    let ended = |code: ExitCode| shares.iter().filter(move |share| share.report.exit_code == code.number());
    let told = |share: &Share| share.faults().join("; ");
    let nothing = shares.iter().all(Share::is_empty);
    let nothing = shares.first().filter(|_| nothing).and_then(|share| share.report.faults.first().cloned());
    End {
        complete: nothing.is_none() && shares.iter().all(|share| share.report.complete || share.is_empty()),
        interrupted: ended(ExitCode::Interrupted).next().is_some(),
        stopped: false,
        nothing,
        lost: ended(ExitCode::Unreachable).next().map(told),
        fault: ended(ExitCode::Internal).find(|share| share.report.totals.error == 0).map(told),
        seconds: 0.0,
    }
}

/// What all generated together, if they did.
fn generated(begun: &[&Share]) -> Option<Generated> {
    let all = || begun.iter().filter_map(|share| share.report.generated);
    let sum = |of: fn(Generated) -> u64| all().map(of).fold(0, u64::saturating_add);
    let seed = all().next()?.seed;
    Some(Generated {
        sequences: sum(|one| one.sequences),
        steps: sum(|one| one.steps),
        answered: sum(|one| one.answered),
        failed: sum(|one| one.failed),
        seed,
    })
}

/// The whole against what is pinned, if something is.
fn expectations(
    shares: &[Share],
    begun: &[&Share],
    cases: &[CaseRecord],
    not_run: &[String],
    complete: bool,
) -> Result<Option<Comparison>, MergeError> {
    // What a part says that never spoke to the target was compared with nothing.
    let speaking: Vec<&Share> = if begun.is_empty() { shares.iter().collect() } else { begun.to_vec() };
    let parts: Vec<&Comparison> = speaking.iter().filter_map(|share| share.report.expectations.as_ref()).collect();
    let strict = shares.iter().any(|share| share.report.strict);
    if parts.is_empty() {
        return Ok(None);
    }
    let compared = Comparison::of_parts(&parts, cases, not_run, strict, !complete);
    compared.map(Some).map_err(|error| MergeError::Pins { files: files(shares), error })
}

/// What went wrong while asking, once.
fn troubles(begun: &[&Share]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for trouble in begun.iter().flat_map(|share| &share.report.target.discovered.troubles) {
        if !all.contains(trouble) {
            all.push(trouble.clone());
        }
    }
    all
}

/// What all say, or where they say several things, these.
fn joined<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join("; ")
}

fn files(shares: &[Share]) -> String {
    shares.iter().map(|share| share.file.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
