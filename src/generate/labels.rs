//! Labels only where something needs them, numbered as they come.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::{Bytes, Expect, Name, Step, StepKind, Value};

/// Takes away the labels of `optional` that nothing but their own `<` line asks for, and numbers the others anew.
pub(super) fn tidy(steps: &mut [Step], optional: &BTreeSet<String>) {
    let mut used = BTreeSet::new();
    each(steps, &mut |kind| {
        if let StepKind::If(label, _) = kind {
            used.insert(label.value.clone());
        }
    });
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    each(steps, &mut |kind| match kind {
        StepKind::Send(send) => {
            let Some(label) = &mut send.label else { return };
            if optional.contains(&label.value) && !used.contains(&label.value) {
                send.label = None;
                return;
            }
            let base = label.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
            let count = counts.entry(base.clone()).or_default();
            *count += 1;
            let name = if *count == 1 { base } else { format!("{base}{count}") };
            names.insert(std::mem::replace(&mut label.value, name.clone()), name);
        }
        StepKind::Expect(Expect::Answer { label, .. }) => {
            let known = label.as_ref().and_then(|label| names.get(label.as_str()).cloned());
            match (label.as_mut(), known) {
                (Some(label), Some(name)) => label.value = name,
                _ => *label = None,
            }
        }
        StepKind::If(label, _) => rename(label, &names),
        _ => {}
    });
    each(steps, &mut |kind| {
        let StepKind::Send(send) = kind else { return };
        for argument in &mut send.arguments {
            if let Value::Bytes(Bytes::Of(name)) = &mut argument.value.value
                && let Some((label, field)) = name.value.split_once('.')
                && let Some(new) = names.get(label)
            {
                name.value = format!("{new}.{field}");
            }
        }
    });
}

fn rename(label: &mut Name, names: &BTreeMap<String, String>) {
    if let Some(name) = names.get(label.as_str()) {
        label.value.clone_from(name);
    }
}

/// Every step from top to bottom, a block before what is in it.
fn each(steps: &mut [Step], act: &mut impl FnMut(&mut StepKind)) {
    for step in steps {
        act(&mut step.kind);
        if let StepKind::If(_, inner) = &mut step.kind {
            each(inner, act);
        }
    }
}
