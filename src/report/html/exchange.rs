//! The messages between client and server as a sequence, as far as the page has room for them.

use maud::{Markup, html};

use super::message::{Detail, item};
use crate::report::text::count;
use crate::session::{Entry, Way};
use crate::verdict::Finding;

/// How many messages up to the one that a finding is about are shown.
const BEFORE: usize = 20;
/// How many are shown that came after it.
const AFTER: usize = 4;
/// Bytes of the page that exchanges may take with all that is told of each message, and then with arrows alone, before
/// they are left out: a server that does everything wrong has thousands of findings.
const DETAILED: usize = 1_500_000;
const ROOM: usize = 2_500_000;

/// What the page has used of its room.
#[derive(Debug, Default)]
pub(super) struct Room {
    used: usize,
}

impl Room {
    /// The messages that a finding is about, or the last ones.
    pub(super) fn exchange(&mut self, transcript: &[Entry], finding: Option<&Finding>) -> Markup {
        if transcript.is_empty() {
            return html! { p.left-out { "No message was exchanged." } };
        }
        if self.used >= ROOM {
            return html! {
                p.left-out {
                    "The exchange is left out, for this page has so many: the JSON report has it, and so has the case when it is "
                    "run again."
                }
            };
        }
        let markup = exchange(transcript, finding, self.used < DETAILED);
        self.used += markup.0.len();
        markup
    }

    /// Something that the page tells where it has room.
    pub(super) fn take(&mut self, markup: Markup) -> Option<Markup> {
        self.used += markup.0.len();
        (self.used < ROOM).then_some(markup)
    }
}

fn exchange(transcript: &[Entry], finding: Option<&Finding>, detailed: bool) -> Markup {
    let message = finding.and_then(|finding| finding.message);
    let subject = transcript.iter().position(|entry| Some(entry.n) == message);
    let end = subject.map_or(transcript.len(), |subject| transcript.len().min(subject + 1 + AFTER));
    let start = subject.map_or(end, |subject| subject + 1).saturating_sub(BEFORE);
    let shown = transcript.get(start..end).unwrap_or_default();
    let several = shown.iter().any(|entry| shown.iter().any(|other| other.client != entry.client));
    let after = transcript.len() - end;
    // Numbers are those of the whole conversation, of which a transcript keeps the beginning and the end.
    let before = start.checked_sub(1).and_then(|before| transcript.get(before)).map_or(0, |entry| entry.n);
    let next = std::iter::once(before).chain(shown.iter().map(|entry| entry.n));
    html! {
        div.exchange {
            div.ends aria-hidden="true" { span { "client" } span { "server" } }
            @if before > 0 { p.gap { ".. " (count(before, "message")) " before" } }
            ol {
                @for (n, (entry, last)) in shown.iter().zip(next).enumerate() {
                    @let lost = entry.n.saturating_sub(last.saturating_add(1));
                    @if lost > 0 { li.gap { ".. " (count(lost, "message")) " not kept" } }
                    @let is_subject = subject == Some(start + n);
                    @let mark = finding.and_then(|finding| finding.field.as_ref()).filter(|_| is_subject);
                    @let detail = match (is_subject, detailed) {
                        (true, _) => Detail::Subject,
                        (false, true) => Detail::Folded,
                        (false, false) => Detail::Arrow,
                    };
                    (item(entry, detail, several, mark))
                }
            }
            @if after > 0 { p.gap { ".. " (count(after, "message")) " after" } }
            @if subject.is_some_and(|subject| is_unanswered(transcript, subject)) {
                p.gap { "nothing came after it" }
            }
        }
    }
}

/// The message was sent, and is the last thing that is known.
fn is_unanswered(transcript: &[Entry], subject: usize) -> bool {
    subject + 1 == transcript.len() && transcript.get(subject).is_some_and(|entry| entry.direction == Way::Sent)
}
