//! Where two servers part, with what the model says of both.

use maud::{Markup, html};

use super::exchange::Room;
use super::finding::badge;
use super::links::Links;
use super::message::{Detail, item};
use crate::report::frame::{command, foreign, foreign_lines};
use crate::report::text::count;
use crate::verdict::{Class, Differential, Divergence, Side};

/// How many messages before the one at which they part are shown.
const BEFORE: usize = 12;

/// All of it, the worst first.
pub(super) fn differential(found: &Differential, links: &Links<'_>, room: &mut Room) -> Markup {
    let mut divergences: Vec<&Divergence> = found.divergences.iter().collect();
    divergences.sort_by_key(|divergence| std::cmp::Reverse((divergence.class(), divergence.sequences)));
    let more = [
        (found.by_offer, "answers differ for what is offered differently, and are not counted."),
        (found.unsure, "causes showed by a deadline alone and did not come back: they are not counted."),
        (found.alike, "sequences end where both break something alike."),
    ];
    html! {
        section aria-labelledby="differential" {
            h2 #differential { "Where the two servers part" }
            p {
                "A is the target, B is " code { (foreign(&found.against)) } ". "
                (count(found.sequences as usize, "sequence")) " of " (found.steps) " messages to both: "
                @match found.parted {
                    0 => "they do not part.",
                    parted => { "they part in " (parted) ", for " (count(divergences.len(), "cause")) "." }
                }
            }
            @for (number, text) in more { @if number > 0 { p { (number) " " (text) } } }
            @if !found.offers.is_empty() {
                p { "What they offer differently, of which nothing is compared:" }
                ul { @for offer in &found.offers { li { (foreign(offer)) } } }
            }
            @for (n, divergence) in divergences.iter().enumerate() { (article(n + 1, divergence, links, room)) }
        }
    }
}

fn article(n: usize, divergence: &Divergence, links: &Links<'_>, room: &mut Room) -> Markup {
    let heading = format!("divergence-{n}");
    let class = match divergence.class() {
        Some(Class::Violation) => "violation",
        Some(Class::Note) => "note",
        None => "undecided",
    };
    html! {
        article.finding.(class) aria-labelledby=(heading) {
            h3 id=(heading) { (foreign(&divergence.to_string())) }
            p {
                "In " (count(divergence.sequences as usize, "sequence"))
                @if let Some((seen, of)) = divergence.seen { "; its case parted " (seen) " of " (of) " times" }
                ". The case is " code { (foreign(&divergence.file)) }
                @if divergence.step > 0 { ", step " (divergence.step) }
                "."
            }
            @match room.take(before(divergence)) {
                Some(before) => (before),
                None => p.left-out { "The messages before it are left out, for this page has so many: the JSON report has them." },
            }
            @for (name, side) in [("A", &divergence.a), ("B", &divergence.b)] { (self::side(name, side, links)) }
        }
    }
}

fn before(divergence: &Divergence) -> Markup {
    let left_out = divergence.before.len().saturating_sub(BEFORE);
    html! {
        div.exchange {
            div.ends aria-hidden="true" { span { "client" } span { "server" } }
            @if left_out > 0 { p.gap { ".. " (count(left_out, "message")) " before" } }
            ol {
                @for entry in divergence.before.iter().skip(left_out) { (item(entry, Detail::Folded, false, None)) }
                @if let Some(sent) = &divergence.sent { (item(sent, Detail::Folded, false, None)) }
            }
        }
    }
}

fn side(name: &str, side: &Side, links: &Links<'_>) -> Markup {
    html! {
        h4 { (name) ": " (foreign_lines(&side.said)) }
        @if let Some(reply) = &side.reply {
            div.exchange { ol { (item(reply, Detail::Folded, false, None)) } }
        }
        @if side.findings.is_empty() {
            p { @if side.answered.is_some() { "This conforms." } @else { "Nothing is wrong with it." } }
        }
        @for finding in &side.findings {
            p {
                (badge(finding.class)) " of " (links.requirement(&finding.requirement)) ": expected " (foreign_lines(&finding.expected))
                "; got " (foreign_lines(&finding.actual))
            }
        }
        p { "Against " (name) " alone:" }
        (command(&side.replay))
    }
}
