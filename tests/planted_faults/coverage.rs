//! Which requirements have a fault.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::fault::Fault;
use crate::sections::without_fault;
use crate::suite::SUITE;

/// Every requirement with a check has a fault, or a reason why it has none; says how many there are.
pub(crate) fn check(faults: &[Arc<Fault>]) -> Result<String, String> {
    let checked = checked()?;
    let faulty: BTreeSet<&str> = faults.iter().map(|fault| fault.requirement).collect();
    let without: BTreeSet<&str> = without_fault().map(|(id, _)| id).collect();
    let mut wrong = Vec::new();
    for id in &checked {
        match (faulty.contains(id.as_str()), without.contains(id.as_str())) {
            (true, true) => wrong.push(format!("{id} has a fault, and a reason why it has none")),
            (false, false) => wrong.push(format!("{id} has no fault")),
            _ => {}
        }
    }
    for id in faulty.iter().chain(&without) {
        if !checked.contains(*id) {
            wrong.push(format!("{id} has no check that could report a fault"));
        }
    }
    let mut titles = BTreeSet::new();
    wrong.extend(faults.iter().map(|fault| fault.title()).filter(|title| !titles.insert(title.clone())));
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    Ok(format!(
        "{} planted faults for {} of the {} requirements that have a check; {} have none, each for a reason",
        faults.len(),
        faulty.len(),
        checked.len(),
        without.len()
    ))
}

/// The requirements that a case line names or the model judges by, as far as they were compared with the text.
fn checked() -> Result<BTreeSet<String>, String> {
    let mut ids: BTreeSet<String> =
        SUITE.plans.values().flat_map(|plan| &plan.cases).flat_map(|case| case.requirements()).collect();
    named_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model"), &mut ids)?;
    Ok(ids)
}

/// Takes the requirements that stand as strings in the files below a folder.
fn named_below(folder: &Path, ids: &mut BTreeSet<String>) -> Result<(), String> {
    for entry in folder.read_dir().map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            named_below(&path, ids)?;
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        ids.extend(
            text.split('"')
                .filter(|word| SUITE.register.get(word).is_some_and(|known| known.reviewed))
                .map(str::to_owned),
        );
    }
    Ok(())
}
