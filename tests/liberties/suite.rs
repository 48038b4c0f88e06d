//! The suite and generated sequences, against servers that take liberties.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use vfio_user_conformance::Profile;
use vfio_user_conformance::generate::{Offer, Search};
use vfio_user_conformance::report::case_text;
use vfio_user_conformance::run::{Library, Plan, Runner, Selection, Timeouts};
use vfio_user_conformance::target::DeviceFile;
use vfio_user_conformance::verdict::{CaseRecord, CaseResult, Class};

use crate::direct::NOT_BY_CALLS;
use crate::layer::times_taken;
use crate::liberty::{Kind, Liberty, profile, target};
use crate::probed::{Probed, REGISTER};

const DEVICE: &str = include_str!("../../fixtures/devices/conformance.toml");
/// Each command once, with success and refused, for what the model says of every reply.
const ORDINARY: [&str; 3] = ["header.success/*", "header.error-reply-*", "version.answer"];

static PLANS: LazyLock<BTreeMap<Profile, Plan>> = LazyLock::new(|| {
    let library = Library::bundled(&REGISTER).unwrap();
    Profile::ALL.into_iter().map(|profile| (profile, library.plan(profile, &REGISTER).unwrap())).collect()
});

/// What is put to a server.
#[derive(Clone, Copy)]
pub(crate) struct Put {
    /// Every case, and not just those that a liberty names.
    pub(crate) every_case: bool,
    /// So many generated sequences.
    pub(crate) sequences: u64,
}

/// No server that takes these liberties is accused.
pub(crate) fn nobody_is_accused(liberties: &[Liberty], put: Put) -> Result<(), String> {
    let version = liberties.first().ok_or("no liberty")?.version;
    let by_calls = !matches!(liberties, [Liberty { kind: Kind::Loop(_), .. }]);
    let mut device = DeviceFile::parse("conformance.toml", DEVICE).unwrap();
    if liberties.iter().any(|liberty| liberty.idle) {
        device = DeviceFile { dma_write: None, dma_read: None, ..device };
    }
    let probed = Probed::with(profile(version), target(liberties), Timeouts::default(), device);
    times_taken();
    let runner =
        Runner { context: probed.context(), jobs: 1, fail_fast: false, pinned: None, replay: "{case}".to_owned() };
    let (mut passed, mut accused) = (0, Vec::new());
    let plan = PLANS.get(&probed.discovered.profile).ok_or("no such version")?;
    let filters = liberties.iter().flat_map(|liberty| &liberty.cases).chain(&ORDINARY);
    let filters: Vec<String> = filters.map(|filter| (*filter).to_owned()).collect();
    let selection = Selection::new(&filters, &REGISTER)?;
    let unlisted = |requirement: &str| {
        !liberties.iter().any(|liberty| liberty.notes.iter().any(|(listed, _)| *listed == requirement))
    };
    let admitted = plan.cases.iter().filter(|case| put.every_case || selection.admits(case));
    for case in admitted.filter(|case| !by_calls || !NOT_BY_CALLS.contains(&case.name.as_str())) {
        let record = runner.judge(case)?;
        match record.result {
            CaseResult::Pass => passed += 1,
            CaseResult::Skip => {}
            CaseResult::Fail | CaseResult::Inconclusive => accused.push(told(&record)),
            CaseResult::Error => return Err(format!("a fault of the harness: {}", told(&record))),
        }
        // What one more liberty makes of a note is nobody's to list.
        let unlisted = !put.every_case && record.findings.iter().any(|finding| unlisted(&finding.requirement));
        if record.result == CaseResult::Pass && unlisted {
            accused.push(told(&record));
        }
    }
    if put.sequences > 0 {
        accused.extend(found(&probed, put.sequences)?);
    }
    if !accused.is_empty() {
        let permitted = liberties.iter().map(|liberty| format!("{}: {}\n", liberty.name, liberty.lines));
        let permitted: String = permitted.collect();
        return Err(format!("{} accusations of what is permitted\n{permitted}\n{}", accused.len(), accused.join("\n")));
    }
    if passed == 0 {
        return Err("nothing was played".to_owned());
    }
    if by_calls && liberties.iter().all(|liberty| matches!(liberty.kind, Kind::Layer(_))) && times_taken() == 0 {
        return Err("the liberty was never taken".to_owned());
    }
    Ok(())
}

/// What generated sequences accuse the server of.
fn found(probed: &Probed, count: u64) -> Result<Vec<String>, String> {
    let offer = Offer::new(&probed.discovered, Some(&probed.device));
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let runner =
        Runner { context: probed.context(), jobs: 1, fail_fast: false, pinned: None, replay: "{case}".to_owned() };
    let search =
        Search { runner: &runner, offer: &offer, seed: 7, count, shard: None, folder: folder.path(), replay: "{file}" };
    let found = search.run(|_| ()).map_err(|error| error.to_string())?;
    if !found.complete {
        return Err("the search was cut short".to_owned());
    }
    Ok(found.records.iter().map(told).collect())
}

/// One line for each finding; what is a violation is told in full.
fn told(record: &CaseRecord) -> String {
    let mut text = format!("{} {:?} {}\n", record.name, record.result, record.reason.as_deref().unwrap_or(""));
    for finding in &record.findings {
        let (class, requirement) = (finding.class, &finding.requirement);
        text += &format!("  {class:?} {requirement}: {}; {}\n", finding.expected, finding.actual);
    }
    if record.result != CaseResult::Pass {
        if record.file.starts_with('/') {
            text += &std::fs::read_to_string(&record.file).unwrap_or_default();
        }
        text += &case_text(record, Class::Violation, &REGISTER);
    }
    text
}
