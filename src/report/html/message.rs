//! One message: an arrow between client and server, and behind it its fields and its bytes side by side.

use maud::{Markup, html};

use crate::report::frame::{foreign, foreign_cut};
use crate::report::terminal::exchange::told;
use crate::report::text::count;
use crate::session::{Entry, EntryField, Way};
use crate::verdict::FieldMark;

/// Bytes in a row.
const ROW: usize = 16;
/// Rows of a message that is shown as a whole.
const WHOLE: usize = 16;
/// Rows of a longer one: from its start, and around the field.
const HEAD: usize = 4;
const AROUND: usize = 8;
/// So many fields of a message are shown, and the marked one.
const FIELDS: usize = 48;
/// So many characters of a value are shown.
const VALUE: usize = 400;
/// So many characters stand on the arrow behind the header.
const LINE: usize = 110;

/// How much of a message is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// The arrow alone.
    Arrow,
    /// Fields and bytes for who asks.
    Folded,
    /// Fields and bytes at once: a finding is about it.
    Subject,
}

/// A message in a sequence.
pub(super) fn item(entry: &Entry, detail: Detail, with_client: bool, mark: Option<&FieldMark>) -> Markup {
    let way = match entry.direction {
        Way::Sent => "sent",
        Way::Received => "received",
    };
    let subject = detail == Detail::Subject;
    // What is no message has nothing behind its arrow.
    let has_more = detail != Detail::Arrow && (!entry.bytes.is_empty() || !entry.fields.is_empty());
    html! {
        li class={ (way) @if subject { " subject" } } {
            @if has_more {
                details open[subject] {
                    summary { (arrow(entry, with_client, mark)) }
                    (inside(entry, mark))
                }
            } @else {
                div.bare { (arrow(entry, with_client, mark)) }
                @if let Some(mark) = mark { (beyond(entry, mark)) }
            }
        }
    }
}

fn arrow(entry: &Entry, with_client: bool, mark: Option<&FieldMark>) -> Markup {
    let marked = mark.map(|mark| mark.name.as_str());
    let (header, payload) = told(entry, marked);
    let ends = match entry.direction {
        Way::Sent => "client to server: ",
        Way::Received => "server to client: ",
    };
    let name = match (entry.direction, entry.message.as_str()) {
        (Way::Received, "closed") => "the server closed the connection",
        (Way::Sent, "close") => "the client closed the connection",
        (_, name) => name,
    };
    let mut room = LINE;
    let mut left_out = false;
    let payload: Vec<_> = payload
        .into_iter()
        .filter(|(text, marked)| {
            let fits = *marked || text.len() < room;
            room = room.saturating_sub(text.len() + 1);
            left_out |= !fits;
            fits
        })
        .collect();
    html! {
        span.n { (entry.n) }
        span.shaft {
            span.hidden-text { (ends) }
            @if with_client { span.end { "client " (foreign(&entry.client)) } " " }
            @if entry.channel != "main" { span.end { (foreign(&entry.channel)) " socket" } " " }
            strong { (foreign_cut(name, VALUE)) }
            @for (text, marked) in header.iter().chain(&payload) {
                " "
                @if *marked { mark { (foreign(text)) } } @else { code { (foreign(text)) } }
            }
            @if left_out { " .." }
        }
    }
}

fn inside(entry: &Entry, mark: Option<&FieldMark>) -> Markup {
    html! {
        div.inside {
            @if !entry.fields.is_empty() { (fields(entry, mark)) }
            div {
                (bytes(entry, mark))
                @if let Some(mark) = mark { (beyond(entry, mark)) }
            }
        }
    }
}

fn fields(entry: &Entry, mark: Option<&FieldMark>) -> Markup {
    let is_marked = |field: &EntryField| mark.is_some_and(|mark| mark.name == field.name);
    let shown = entry.fields.iter().enumerate().filter(|(n, field)| *n < FIELDS || is_marked(field));
    let left_out = entry.fields.len() - shown.clone().count();
    html! {
        div.fields tabindex="0" role="group" aria-label={ "Fields of message " (entry.n) } {
            table {
                caption.hidden-text { "Fields of message " (entry.n) }
                thead { tr { th scope="col" { "at" } th scope="col" { "field" } th scope="col" { "value" } } }
                tbody {
                    @for (_, field) in shown {
                        tr {
                            td { (format!("{:04x}", field.offset)) }
                            th scope="row" {
                                @if is_marked(field) { mark { (foreign(&field.name)) } } @else { (foreign(&field.name)) }
                            }
                            td {
                                @if is_marked(field) {
                                    mark { (foreign_cut(&field.value, VALUE)) }
                                } @else {
                                    (foreign_cut(&field.value, VALUE))
                                }
                            }
                        }
                    }
                }
            }
            @if left_out > 0 { p.left-out { ".. " (count(left_out, "more field")) } }
        }
    }
}

/// A field is where it should be; the message may end before it.
fn beyond(entry: &Entry, mark: &FieldMark) -> Markup {
    let held = entry.bytes.len() / 2;
    html! {
        @if mark.length > 0 && mark.offset >= held {
            p.beyond {
                mark { (foreign(&mark.name)) } " would be at byte " (mark.offset) "; "
                @if held < entry.length { "the bytes that are kept end at " (held) } @else { "the message ends at " (held) }
            }
        }
    }
}

fn bytes(entry: &Entry, mark: Option<&FieldMark>) -> Markup {
    let bytes: Vec<Option<u8>> = entry.bytes.as_bytes().chunks(2).map(byte).collect();
    let marked = mark.map_or(0..0, |mark| {
        let end = mark.offset.saturating_add(mark.length).min(bytes.len());
        mark.offset.min(end)..end
    });
    let rows = bytes.len().div_ceil(ROW);
    let shown = rows_shown(rows, &marked);
    let next = std::iter::once(0).chain(shown.iter().map(|row| row + 1));
    let is_cut = shown.last().is_none_or(|last| last + 1 < rows) || bytes.len() < entry.length;
    html! {
        pre.bytes tabindex="0" role="group" aria-label={ "Bytes of message " (entry.n) } {
            @for (row, next) in shown.iter().zip(next) {
                @if *row != next { span.left-out { "..\n" } }
                @let start = row * ROW;
                (line(start, bytes.get(start..bytes.len().min(start + ROW)).unwrap_or_default(), &marked))
            }
            @if is_cut { span.left-out { ".. " (count(entry.length, "byte")) " in all" } }
        }
    }
}

/// `None` for what is not two hexadecimal digits: a report that is read may say anything.
fn byte(digits: &[u8]) -> Option<u8> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

fn rows_shown(rows: usize, marked: &std::ops::Range<usize>) -> Vec<usize> {
    if rows <= WHOLE {
        return (0..rows).collect();
    }
    let mut shown: Vec<usize> = (0..HEAD).collect();
    if !marked.is_empty() {
        let (first, last) = (marked.start / ROW, (marked.end - 1) / ROW);
        let first = first.saturating_sub(1).max(HEAD);
        shown.extend(first..(last + 2).min(first + AROUND).min(rows));
    }
    shown
}

/// `0000  01 00 02 00 34 00 00 00  00 00 00 00 00 00 00 00  ....4...........`
fn line(start: usize, bytes: &[Option<u8>], marked: &std::ops::Range<usize>) -> Markup {
    let from = marked.start.max(start) - start;
    let to = marked.end.min(start + bytes.len()).saturating_sub(start);
    let text = |places: std::ops::Range<usize>| -> String {
        let shown = places.clone().zip(bytes.get(places.clone()).unwrap_or_default());
        let word = |(place, byte): (usize, &Option<u8>)| {
            let gap = match place {
                place if place == places.start => "",
                place if place == ROW / 2 => "  ",
                _ => " ",
            };
            byte.map_or_else(|| format!("{gap}??"), |byte| format!("{gap}{byte:02x}"))
        };
        shown.map(word).collect()
    };
    // The gap before a part of the row that does not begin it.
    let gap = |place: usize| match place {
        place if place >= bytes.len() || place == 0 => "",
        place if place == ROW / 2 => "  ",
        _ => " ",
    };
    let width = 3 * bytes.len() + usize::from(bytes.len() > ROW / 2);
    let fill = " ".repeat((3 * ROW + 3).saturating_sub(width));
    let characters: String = bytes
        .iter()
        .map(|byte| byte.map(char::from).filter(|c| c.is_ascii_graphic() || *c == ' ').unwrap_or('.'))
        .collect();
    html! {
        span.at { (format!("{start:04x}")) } "  "
        @if from < to {
            (text(0..from)) (gap(from)) mark { (text(from..to)) } (gap(to)) (text(to..bytes.len()))
        } @else {
            (text(0..bytes.len()))
        }
        (fill) span.at { (characters) } "\n"
    }
}
