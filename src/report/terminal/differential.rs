//! Where two servers part, with what the model says of both.

use super::exchange;
use super::paint::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use super::summary::lasted;
use crate::report::text::{count, cut, harmless, wrap};
use crate::run::End;
use crate::verdict::{Class, Differential, Divergence, Finding, Side};

/// How wide text may be.
const WIDTH: usize = 100;
/// How many messages before the one at which they part are shown.
const BEFORE: usize = 8;

/// All of it in lines, the worst first.
pub(super) fn lines(differential: &Differential, verbose: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if !differential.offers.is_empty() {
        title(&mut lines, BOLD, "OFFERED DIFFERENTLY", "only what both offer is compared");
        lines.extend(differential.offers.iter().map(|offer| format!("  {}", harmless(offer))));
        lines.push(String::new());
    }
    let mut divergences: Vec<&Divergence> = differential.divergences.iter().collect();
    divergences.sort_by_key(|divergence| std::cmp::Reverse((divergence.class(), divergence.sequences)));
    let kinds = [
        (Some(Class::Violation), RED, "THEY PART", "what one of them does is a violation"),
        (Some(Class::Note), YELLOW, "THEY PART", "what one of them does is worth a note"),
        (None, BOLD, "THEY PART AND MAY", "the specification permits what both do"),
    ];
    for (class, style, word, meaning) in kinds {
        let of_kind: Vec<&Divergence> = divergences.iter().copied().filter(|one| one.class() == class).collect();
        if of_kind.is_empty() {
            continue;
        }
        title(&mut lines, style, word, &format!("{}; {meaning}", count(of_kind.len(), "cause")));
        for divergence in of_kind {
            self::divergence(&mut lines, divergence, verbose);
            lines.push(String::new());
        }
    }
    lines
}

/// What they came to, in a few words each.
pub(super) fn totals(differential: &Differential, seed: Option<u64>, end: &End) -> Vec<String> {
    let Differential { sequences, steps, parted, alike, by_offer, unsure, divergences, .. } = differential;
    let seed = seed.map_or(String::new(), |seed| format!(", seed {seed}"));
    let parted = match parted {
        0 => paint(GREEN, "they do not part"),
        parted => format!("they part in {parted}, for {}", count(divergences.len(), "cause")),
    };
    let played = count(*sequences as usize, "sequence");
    let lasted = lasted(end).map_or(String::new(), |lasted| format!(", {lasted}"));
    let mut lines = vec![format!("{played} of {steps} messages to both{seed}{lasted}: {parted}")];
    let mut more = |number: u64, text: &str| {
        if number > 0 {
            lines.push(format!("{number} {text}"));
        }
    };
    more(*by_offer, "answers differ for what is offered differently, and are not counted");
    more(*unsure, "causes showed by a deadline alone and did not come back: they are not counted");
    more(*alike, "sequences end where both break something alike: `run --generate` judges each server by itself");
    lines
}

fn divergence(lines: &mut Vec<String>, divergence: &Divergence, verbose: bool) {
    lines.push(format!("  {}  {}", paint(BOLD, harmless(&divergence.to_string())), paint(DIM, frequency(divergence))));
    let shown = if verbose { divergence.before.len() } else { BEFORE };
    let before = divergence.before.len().saturating_sub(shown);
    if before > 0 {
        lines.push(format!("       .. {} before", count(before, "message")));
    }
    let sent = divergence.before.iter().skip(before).chain(&divergence.sent);
    lines.extend(sent.map(|entry| format!("       {}", exchange::line(entry, false, None))));
    side(lines, "A", &divergence.a);
    side(lines, "B", &divergence.b);
    let step = if divergence.step == 0 { String::new() } else { format!(", step {}", divergence.step) };
    lines.push(format!("    {}{}{step}", paint(DIM, "case     "), harmless(&divergence.file)));
    for (word, side) in [("again A  ", &divergence.a), ("again B  ", &divergence.b)] {
        lines.push(format!("    {}{}", paint(DIM, word), harmless(&side.replay)));
    }
}

fn frequency(divergence: &Divergence) -> String {
    let seen = divergence.seen.map_or(String::new(), |(seen, of)| format!("; its case parted {seen} of {of} times"));
    format!("in {}{seen}", count(divergence.sequences as usize, "sequence"))
}

fn side(lines: &mut Vec<String>, name: &str, side: &Side) {
    let came = match &side.reply {
        Some(entry) => exchange::line(entry, false, None),
        None => cut(&harmless(&side.said), WIDTH),
    };
    lines.push(format!("    {}  {came}", paint(BOLD, name)));
    if side.findings.is_empty() {
        let said = if side.answered.is_some() { "this conforms" } else { "nothing is wrong with it" };
        lines.push(format!("       {}", paint(GREEN, said)));
    }
    let mut findings: Vec<&Finding> = side.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.class));
    for finding in findings {
        let (style, word) = match finding.class {
            Class::Violation => (RED, "violation"),
            Class::Note => (YELLOW, "note"),
        };
        let head = format!("{word} of {}", finding.requirement);
        let mut text = format!("{head}: expected {}", finding.expected);
        // The kind of answer stands in the line above.
        let told = side.reply.is_none() || finding.actual.contains(" reply");
        if !told {
            text.push_str(&format!("; got {}", finding.actual));
        }
        for (n, line) in wrap(&harmless(&text), WIDTH).into_iter().enumerate() {
            let line = match line.strip_prefix(&head) {
                Some(rest) if n == 0 => format!("{}{rest}", paint(style, &head)),
                _ => line,
            };
            lines.push(format!("       {line}"));
        }
    }
}

fn title(lines: &mut Vec<String>, style: anstyle::Style, word: &str, said: &str) {
    lines.push(format!("{}  {}", paint(style, word), paint(DIM, said)));
    lines.push(String::new());
}
