//! Which `<` line asks for which `>` line, and what a case needs of what stands before.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::case::{Argument, Bytes, Descriptor, Expect, Name, Send, Step, StepKind, Value};

/// For each `<` line about an answer the `>` lines that it asks for, by their places among the steps. Blocks are left
/// out: they ask for what is in them.
pub(super) fn pairs(steps: &[Step]) -> HashMap<usize, usize> {
    let mut open: HashMap<Option<&str>, VecDeque<usize>> = HashMap::new();
    let mut labels: HashMap<&str, usize> = HashMap::new();
    let mut pairs = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        match &step.kind {
            StepKind::Send(send) => {
                open.entry(end_of(send.end.as_ref())).or_default().push_back(at);
                if let Some(label) = &send.label {
                    labels.insert(label.as_str(), at);
                }
            }
            StepKind::Expect(Expect::Answer { end, label, .. }) => {
                let queue = open.entry(end_of(end.as_ref())).or_default();
                let asked = match label {
                    Some(label) => labels.get(label.as_str()).copied(),
                    None => queue.front().copied(),
                };
                if let Some(asked) = asked {
                    queue.retain(|open| *open != asked);
                    pairs.insert(at, asked);
                }
            }
            _ => {}
        }
    }
    pairs
}

/// The first client has a name, too.
fn end_of(end: Option<&Name>) -> Option<&str> {
    end.map(|end| end.as_str()).filter(|end| *end != "a")
}

/// Leaves out every step that needs what is not there (a descriptor, a label, a client, the message that it asks for),
/// until nothing of that kind is left, and every `let` that nothing needs.
pub(super) fn whole(steps: &mut Vec<Step>) {
    loop {
        let before = steps.len();
        drop_dangling(steps);
        drop_unused(steps);
        if steps.len() == before {
            return;
        }
    }
}

fn drop_dangling(steps: &mut Vec<Step>) {
    let asked: BTreeSet<usize> = pairs(steps).into_keys().collect();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut sends_before: Option<Option<String>> = None;
    let mut at = 0;
    steps.retain_mut(|step| {
        let here = at;
        at += 1;
        let needs = needs(step);
        let mut keep = needs.iter().all(|name| known.contains(name));
        if matches!(step.kind, StepKind::Expect(Expect::Answer { .. })) {
            keep = asked.contains(&here);
        }
        let mut sent = None;
        if let StepKind::Send(send) = &mut step.kind {
            let end = send.end.as_ref().map(|end| end.value.clone());
            send.joined &= sends_before.as_ref() == Some(&end) && keep;
            sent = Some(end);
        }
        if keep {
            known.extend(gives(step));
            sends_before = sent;
        }
        keep
    });
}

fn drop_unused(steps: &mut Vec<Step>) {
    let needed: BTreeSet<String> = steps.iter().flat_map(needs).collect();
    steps.retain(|step| match &step.kind {
        StepKind::Let(name, _) => needed.contains(&format!("let {}", name.value)),
        _ => true,
    });
}

/// What a step gives names to.
fn gives(step: &Step) -> Option<String> {
    match &step.kind {
        StepKind::Let(name, _) => Some(format!("let {}", name.value)),
        StepKind::Client(name, _) | StepKind::Server(name) => Some(format!("client {}", name.value)),
        StepKind::Send(send) => send.label.as_ref().map(|label| format!("label {}", label.value)),
        _ => None,
    }
}

/// What a step needs to be there.
fn needs(step: &Step) -> Vec<String> {
    let made = |name: &Name| format!("let {}", name.value);
    let client = |name: &Option<Name>| {
        name.iter().filter(|name| name.as_str() != "a").map(|name| format!("client {}", name.value)).collect::<Vec<_>>()
    };
    match &step.kind {
        StepKind::Let(..) | StepKind::Client(..) | StepKind::Server(_) | StepKind::Baseline | StepKind::Signal(_) => {
            Vec::new()
        }
        StepKind::Close(end)
        | StepKind::Shutdown(end)
        | StepKind::Device(end, ..)
        | StepKind::Save(end, ..)
        | StepKind::Restore(end, ..) => client(end),
        StepKind::Send(send) => {
            let mut needs = client(&send.end);
            needs.extend(send.arguments.iter().flat_map(names));
            needs
        }
        StepKind::Expect(Expect::Answer { end, .. }) => client(end),
        StepKind::Expect(Expect::Fd(name, _) | Expect::Seal(name, _)) | StepKind::Truncate(name, _) => vec![made(name)],
        StepKind::Expect(Expect::Memory(memory, _)) => vec![made(&memory.name)],
        StepKind::Expect(Expect::Mapped(label, ..) | Expect::SubRegion(label, _)) | StepKind::Ring(label, _) => {
            vec![format!("label {}", label.value)]
        }
        StepKind::Expect(
            Expect::FdsBaseline | Expect::Exited | Expect::Device(_) | Expect::Same(..) | Expect::Counted(_),
        ) => Vec::new(),
        StepKind::If(label, then) => {
            let inside: BTreeSet<String> = then.iter().filter_map(gives).collect();
            let mut needs = vec![format!("label {}", label.value)];
            needs.extend(then.iter().flat_map(self::needs).filter(|need| !inside.contains(need)));
            needs
        }
        StepKind::Serve(_) | StepKind::Await(..) | StepKind::Do(..) => Vec::new(),
    }
}

fn names(argument: &Argument) -> Vec<String> {
    match &argument.value.value {
        Value::Names(names) => names.iter().map(|(name, _)| format!("let {}", name.value)).collect(),
        Value::Words(words) if matches!(argument.key.as_str(), "fd" | "fds" | "memory") => {
            words.iter().map(|name| format!("let {}", name.value)).collect()
        }
        Value::Bytes(Bytes::Of(name)) => {
            name.split('.').next().map(|label| format!("label {label}")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The message of a step, if it sends one.
pub(super) fn message(step: &mut Step) -> Option<&mut Send> {
    match &mut step.kind {
        StepKind::Send(send) => Some(send),
        _ => None,
    }
}

/// The size of a `let .. = memfd SIZE`.
pub(super) fn memory(step: &mut Step) -> Option<&mut crate::case::Expression> {
    match &mut step.kind {
        StepKind::Let(_, Descriptor::Memfd(size) | Descriptor::MemfdReadOnly(size)) => Some(size),
        _ => None,
    }
}
