//! Two plays of one sequence, and where they part.

use std::collections::{BTreeSet, HashMap};

use vfio_user_wire::message::{
    DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DMA_UNMAP, REGION_READ, REGION_WRITE, VERSION,
};

use super::apart::Apart;
use super::device::conforms;
use super::message::{Message, word};
use super::pairs::pairs;
use super::plain::numbers;
use crate::case::{Case, Expect, Step, StepKind};
use crate::run::{Exchange, Play};
use crate::session::Entry;
use crate::verdict::{Answered, Class, Divergence, Evidence, Finding, Side};

/// Fields of successful replies that are no business of the device: what was asked for says what they must be.
const SETTLED: &[(&str, &[&str])] = &[
    (DMA_UNMAP.name, &["address", "size", "flags"]),
    (REGION_READ.name, &["region", "offset", "count"]),
    (REGION_WRITE.name, &["region", "offset", "count"]),
];
/// Commands that leave everything as it was: after different answers to them, too, both servers are told the same.
const QUERIES: &[&str] =
    &[DEVICE_GET_INFO.name, DEVICE_GET_REGION_INFO.name, DEVICE_GET_IRQ_INFO.name, REGION_READ.name];

/// Divergences that look alike: the command, what both did, and what the model says of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    command: String,
    differs: Option<String>,
    a: (Option<&'static str>, Vec<(String, Class)>),
    b: (Option<&'static str>, Vec<(String, Class)>),
}

impl Cause {
    pub(super) fn of(divergence: &Divergence) -> Cause {
        let key = |side: &Side| {
            let mut broken: Vec<(String, Class)> =
                side.findings.iter().map(|finding| (finding.requirement.clone(), finding.class)).collect();
            broken.sort();
            (side.answered.map(Answered::verb), broken)
        };
        let Divergence { command, differs, a, b, .. } = divergence;
        Cause { command: command.clone(), differs: differs.clone(), a: key(a), b: key(b) }
    }
}

/// One place at which two plays part.
#[derive(Debug, Clone)]
pub(super) struct Parting {
    pub(super) cause: Cause,
    pub(super) divergence: Divergence,
    /// It rests on a deadline.
    pub(super) late: bool,
}

/// What two plays of one sequence show.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Where they part, up to the first answer after which the servers know different things.
    pub(super) partings: Vec<Parting>,
    /// Messages that both answered.
    pub(super) answered: u64,
    /// Answers that differ for what is offered differently.
    pub(super) by_offer: u64,
    /// Both break something, and do not part.
    pub(super) alike: bool,
}

/// Compares two plays of a sequence.
pub(super) fn compare(case: &Case, a: Play, b: Play, apart: &Apart) -> Compared {
    let lines = Lines::of(case);
    let both_break = [&a, &b].iter().all(|play| play.findings.iter().any(is_violation));
    let (a, b) = (Seen::of(a), Seen::of(b));
    let mut compared = Compared::default();
    let mut known_apart = false;
    for in_a in a.exchanges.iter().filter(|exchange| lines.sending.contains(&exchange.step)) {
        let Some(in_b) = b.exchanges.iter().find(|exchange| exchange.step == in_a.step) else { continue };
        compared.answered += u64::from(in_a.reply.is_some() && in_b.reply.is_some());
        let Some(parting) = exchange(&lines, (&a, in_a), (&b, in_b), apart) else { continue };
        let queried = parting.divergence.sent.as_ref().is_some_and(|sent| QUERIES.contains(&sent.message.as_str()));
        let answered = |side: &Side| matches!(side.answered, Some(Answered::Success | Answered::Error(_)));
        known_apart = !(queried && answered(&parting.divergence.a) && answered(&parting.divergence.b));
        let offered = parting.divergence.sent.as_ref().is_some_and(|sent| apart.covers(sent));
        if offered && parting.divergence.is_permitted() {
            compared.by_offer += 1;
        } else {
            compared.partings.push(parting);
        }
        if known_apart {
            break;
        }
    }
    if !known_apart {
        compared.partings.extend(look(case, &lines, &a, &b));
    }
    compared.alike = both_break && compared.partings.is_empty();
    compared
}

fn is_violation(finding: &Finding) -> bool {
    finding.class == Class::Violation
}

/// What one server did with a sequence.
struct Seen {
    exchanges: Vec<Exchange>,
    findings: Vec<Finding>,
    entries: Vec<Entry>,
}

impl Seen {
    fn of(play: Play) -> Seen {
        Seen { exchanges: play.exchanges, findings: play.findings, entries: play.transcript.into_entries() }
    }

    fn entry(&self, n: Option<usize>) -> Option<&Entry> {
        self.entries.iter().find(|entry| Some(entry.n) == n)
    }

    /// The messages before one, without the negotiation.
    fn before(&self, n: usize) -> Vec<Entry> {
        let negotiation = |entry: &&Entry| {
            let first = self.entries.iter().position(|other| other.n == entry.n).is_some_and(|at| at < 2);
            first && entry.message.starts_with(VERSION.name)
        };
        self.entries.iter().filter(|entry| entry.n < n).filter(|entry| !negotiation(entry)).cloned().collect()
    }

    fn side(&self, exchange: &Exchange, steps: &BTreeSet<usize>) -> Option<Side> {
        let (answered, said) = exchange.became.clone()?;
        let findings = self.findings.iter().filter(|finding| steps.contains(&finding.step)).cloned().collect();
        let reply = self.entry(exchange.reply).cloned();
        Some(Side { answered: Some(answered), said, reply, findings, replay: String::new() })
    }
}

/// Which steps are about one exchange.
struct Lines {
    /// The steps that send a message; what making the device act takes may be more for one server than for the other.
    sending: BTreeSet<usize>,
    /// The lines that ask for the answer to a message, by its step.
    asking: HashMap<usize, Vec<usize>>,
}

impl Lines {
    fn of(case: &Case) -> Lines {
        let numbers = numbers(&case.steps);
        let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
        let mut asking: HashMap<usize, Vec<usize>> = HashMap::new();
        for (line, asked) in pairs(&case.steps) {
            asking.entry(number(asked)).or_default().push(number(line));
        }
        let mut sending = BTreeSet::new();
        for (step, own) in case.steps.iter().zip(&numbers) {
            let inner = if let StepKind::If(_, then) = &step.kind { then.as_slice() } else { &[] };
            let all = std::iter::once(step).chain(inner).zip(*own..);
            sending.extend(all.filter(|(step, _)| matches!(step.kind, StepKind::Send(_))).map(|(_, number)| number));
        }
        Lines { sending, asking }
    }

    /// The step that sends a message, and those that ask for its answer.
    fn about(&self, step: usize) -> BTreeSet<usize> {
        self.asking.get(&step).into_iter().flatten().copied().chain([step]).collect()
    }
}

/// Where both were asked for one answer, and gave different ones.
fn exchange(lines: &Lines, a: (&Seen, &Exchange), b: (&Seen, &Exchange), apart: &Apart) -> Option<Parting> {
    let steps = lines.about(a.1.step);
    let (in_a, in_b) = (a.0.side(a.1, &steps)?, b.0.side(b.1, &steps)?);
    let sent = a.0.entry(Some(a.1.sent));
    let differs = match (in_a.answered?, in_b.answered?) {
        (one, other) if !one.is_like(other) => None,
        _ => Some(field(sent, &in_a, &in_b, apart).or_else(|| judged(&in_a, &in_b))?),
    };
    let mut parting = Parting::of(sent.map_or("bytes", |sent| &sent.message), differs, in_a, in_b);
    parting.divergence.step = a.1.step;
    parting.divergence.sent = sent.cloned();
    parting.divergence.before = a.0.before(a.1.sent);
    Some(parting)
}

/// What differs in two successful replies that should be the same.
fn field(sent: Option<&Entry>, a: &Side, b: &Side, apart: &Apart) -> Option<String> {
    let (sent, a, b) = (sent?, a.reply.as_ref()?, b.reply.as_ref()?);
    let offered = sent.message == DEVICE_GET_REGION_INFO.name && apart.covers(sent);
    if (a.fds > 0) != (b.fds > 0) && !offered {
        return Some("descriptors".to_owned());
    }
    let (_, fields) = SETTLED.iter().find(|(command, _)| *command == sent.message)?;
    let value = |entry: &Entry, name: &str| {
        entry.fields.iter().find(|field| field.name == name).map(|field| field.value.clone())
    };
    fields.iter().find(|name| value(a, name) != value(b, name)).map(|name| (*name).to_owned())
}

/// Of two answers of one kind, one breaks what the other keeps: the field that shows it.
fn judged(a: &Side, b: &Side) -> Option<String> {
    let broken = |side: &Side| -> BTreeSet<String> {
        side.findings.iter().filter(|finding| is_violation(finding)).map(|f| f.requirement.clone()).collect()
    };
    let (in_a, in_b) = (broken(a), broken(b));
    let of = |side: &Side, other: &BTreeSet<String>| {
        let mut findings = side.findings.iter().filter(|finding| is_violation(finding));
        let finding = findings.find(|finding| !other.contains(&finding.requirement))?;
        Some(finding.field.as_ref().map_or("what it says".to_owned(), |field| field.name.clone()))
    };
    of(a, &in_b).or_else(|| of(b, &in_a))
}

/// What only one of them breaks where nothing was asked: descriptors, memory, the session's end.
fn look(case: &Case, lines: &Lines, a: &Seen, b: &Seen) -> Option<Parting> {
    let asked: BTreeSet<usize> = a.exchanges.iter().flat_map(|exchange| lines.about(exchange.step)).collect();
    let broken = |seen: &Seen| -> Vec<Finding> {
        let apart = |finding: &&Finding| is_violation(finding) && !asked.contains(&finding.step);
        seen.findings.iter().filter(apart).cloned().collect()
    };
    let (in_a, in_b) = (broken(a), broken(b));
    let same = |one: &Finding, other: &Finding| (one.step, &one.requirement) == (other.step, &other.requirement);
    let only_a = in_a.iter().filter(|one| !in_b.iter().any(|other| same(one, other)));
    let only_b = in_b.iter().filter(|one| !in_a.iter().any(|other| same(one, other)));
    // What shows after the last step has the number 0.
    let step = only_a.chain(only_b).map(|finding| finding.step).min_by_key(|step| step.wrapping_sub(1))?;
    let side = |findings: &[Finding]| {
        let findings: Vec<Finding> = findings.iter().filter(|finding| finding.step == step).cloned().collect();
        let said = findings.first().map_or("as it should be".to_owned(), |finding| finding.actual.clone());
        Side { answered: None, said, reply: None, findings, replay: String::new() }
    };
    let (in_a, in_b) = (side(&in_a), side(&in_b));
    let mut parting = Parting::of(&subject(case, step), None, in_a, in_b);
    parting.divergence.step = step;
    parting.divergence.before = a.before(usize::MAX);
    Some(parting)
}

/// What a step looks at, in words.
fn subject(case: &Case, number: usize) -> String {
    let numbers = numbers(&case.steps);
    let step: Option<&Step> = numbers.iter().zip(&case.steps).rev().find(|(own, _)| **own <= number).map(|(_, s)| s);
    match step.map(|step| &step.kind) {
        _ if number == 0 => "after the last step",
        Some(StepKind::Expect(Expect::Fd(..))) => "a descriptor",
        Some(StepKind::Expect(Expect::Memory(..) | Expect::Mapped(..))) => "memory",
        Some(StepKind::Expect(Expect::Seal(..))) => "a mapping",
        Some(StepKind::Client(..)) => "a further client",
        Some(StepKind::Server(_)) => "a further server",
        Some(StepKind::Save(..) | StepKind::Restore(..)) => "migration data",
        Some(StepKind::Device(..) | StepKind::If(..)) => "the device",
        _ => "what came unasked",
    }
    .to_owned()
}

impl Parting {
    fn of(command: &str, differs: Option<String>, a: Side, b: Side) -> Parting {
        let late = |side: &Side| {
            let rests = |finding: &Finding| finding.evidence == Evidence::Deadline;
            side.answered == Some(Answered::Silence) || side.findings.iter().any(rests)
        };
        let late = late(&a) || late(&b);
        let divergence = Divergence {
            command: command.to_owned(),
            differs,
            step: 0,
            before: Vec::new(),
            sent: None,
            a,
            b,
            sequences: 0,
            seen: None,
            file: String::new(),
        };
        Parting { cause: Cause::of(&divergence), divergence, late }
    }

    /// The message's line in words, for a comment.
    pub(super) fn told(side: &Side) -> String {
        let said = side.said.lines().next().unwrap_or_default().chars().take(160).collect::<String>();
        match side.findings.iter().max_by_key(|finding| finding.class) {
            None => format!("{said}; this conforms."),
            Some(finding) => {
                let class = if is_violation(finding) { "a violation" } else { "a note" };
                let expected = finding.expected.lines().next().unwrap_or_default();
                format!("{said}; {class} of {}: expected {}.", finding.requirement, expected)
            }
        }
    }
}

/// The case with a requirement at the line that shows it: a file that checks nothing is none.
pub(super) fn named(case: &Case, divergence: &Divergence) -> Case {
    let mut case = case.clone();
    let findings = divergence.a.findings.iter().chain(&divergence.b.findings);
    // Where both may do what they do, what holds of every command.
    let requirement = findings.max_by_key(|finding| finding.class).map_or("HDR-14", |finding| &finding.requirement);
    let about = Lines::of(&case).about(divergence.step);
    let numbers = numbers(&case.steps);
    let lines: Vec<usize> = (0..case.steps.len())
        .filter(|at| matches!(case.steps.get(*at).map(|step| &step.kind), Some(StepKind::Expect(_))))
        .collect();
    let shows = |at: &&usize| numbers.get(**at).is_some_and(|number| about.contains(number));
    let at = lines.iter().find(shows).or(lines.last()).copied().unwrap_or_else(|| {
        case.steps.push(Message::command("info", DEVICE_GET_INFO.name).step(None, None, false));
        case.steps.push(conforms(None, None));
        case.steps.len() - 1
    });
    if let Some(step) = case.steps.get_mut(at) {
        step.requirements = vec![word(requirement)];
    }
    case
}

/// The messages that were sent.
pub(super) fn sends(case: &Case) -> usize {
    case.steps.iter().filter(|step| matches!(step.kind, StepKind::Send(_))).count()
}
