//! Messages as lines: `> DMA_MAP id=3 size=48 {argsz=32 address=0x10000}`.

use nix::errno::Errno;

use super::bytes;
use super::paint::{BLUE, BOLD, paint};
use crate::report::text::{count, cut, harmless};
use crate::session::{Entry, EntryField, Way};
use crate::verdict::Finding;

/// How many messages are shown before, and with, the one that a finding is about.
const SHOWN: usize = 6;
/// How wide a line may be.
const WIDTH: usize = 112;
/// How wide a value may be.
const VALUE: usize = 60;

/// The last messages up to the one that the finding is about, a line each, with the bytes of that one.
pub(super) fn lines(transcript: &[Entry], finding: &Finding) -> Vec<String> {
    let subject = transcript.iter().position(|entry| Some(entry.n) == finding.message);
    let end = match subject {
        // What came after a message that was sent belongs to it: the close, the reply that should not be.
        Some(index) => match (transcript.get(index), transcript.get(index + 1)) {
            (Some(subject), Some(next)) if subject.direction == Way::Sent && next.direction == Way::Received => {
                index + 2
            }
            _ => index + 1,
        },
        None => transcript.len(),
    };
    let start = end.saturating_sub(SHOWN);
    let shown = transcript.get(start..end).unwrap_or_default();
    let several_clients = shown.iter().any(|entry| shown.iter().any(|other| other.client != entry.client));
    let mut lines = Vec::new();
    if start > 0 {
        lines.push(format!(".. {} before", count(start, "message")));
    }
    for (index, entry) in shown.iter().enumerate() {
        let is_subject = subject == Some(start + index);
        let field = finding.field.as_ref().filter(|_| is_subject);
        lines.push(line(entry, several_clients, field.map(|field| field.name.as_str())));
        if is_subject && !entry.bytes.is_empty() {
            lines.extend(bytes::lines(entry, field).into_iter().map(|line| format!("  {line}")));
        }
    }
    lines
}

/// A message in a line.
pub(super) fn line(entry: &Entry, with_client: bool, marked: Option<&str>) -> String {
    let way = match entry.direction {
        Way::Sent => paint(BLUE, ">"),
        Way::Received => paint(BOLD, "<"),
    };
    let mut who = String::new();
    if with_client {
        who.push_str(&format!("{}: ", entry.client));
    }
    if entry.channel != "main" {
        who.push_str(&format!("{}: ", entry.channel));
    }
    let head = format!("{who}{}", harmless(&entry.message));
    let (header, payload) = told(entry, marked);
    format!("{way} {}", fit(head, &header, payload))
}

/// A word about a message, as `size=48`, and whether it is the one that is marked.
pub(in crate::report) type Word = (String, bool);

/// What is told of a message behind its name: of its header, with what is no field, and of its payload.
pub(in crate::report) fn told(entry: &Entry, marked: Option<&str>) -> (Vec<Word>, Vec<Word>) {
    let is_reply = entry.message.ends_with(" reply") || entry.message.ends_with(" error");
    let mut header: Vec<Word> = Vec::new();
    let mut payload: Vec<Word> = Vec::new();
    for field in &entry.fields {
        let is_marked = marked == Some(field.name.as_str());
        match field.name.strip_prefix("header.") {
            Some(name) => {
                if let Some(text) = header_field(entry, field, name, is_reply, is_marked) {
                    header.push((text, is_marked));
                }
            }
            None => payload.push((format!("{}={}", field.name, value(&field.value)), is_marked)),
        }
    }
    let mut more = |text: String| header.push((text, false));
    if entry.fields.is_empty() && entry.length > 0 {
        more(format!("({} bytes)", entry.length));
    }
    if entry.fds > 0 {
        more(format!("fds={}", entry.fds));
    }
    if !entry.cuts.is_empty() {
        let cuts: Vec<String> = entry.cuts.iter().map(usize::to_string).collect();
        more(format!("cut={}", cuts.join(",")));
    }
    (header, payload)
}

/// The fields that say something that the message's name does not.
fn header_field(entry: &Entry, field: &EntryField, name: &str, is_reply: bool, is_marked: bool) -> Option<String> {
    let is_error = entry.message.ends_with(" error");
    match name {
        "id" | "size" => Some(format!("{name}={}", value(&field.value))),
        "error" if is_error => {
            let number = field.value.parse::<i32>().ok();
            let known = number.map(Errno::from_raw).filter(|errno| *errno != Errno::UnknownErrno && number != Some(0));
            let known = known.map_or(String::new(), |errno| format!(" ({errno:?})"));
            Some(format!("errno={}{known}", value(&field.value)))
        }
        "error" if field.value != "0" || is_marked => Some(format!("error={}", value(&field.value))),
        "flags" => {
            let number = field.value.split(' ').next().unwrap_or_default();
            let usual = match (is_reply, is_error) {
                (false, _) => matches!(number, "0" | "0x0"),
                (true, false) => matches!(number, "1" | "0x1"),
                (true, true) => matches!(number, "33" | "0x21"),
            };
            (!usual || is_marked).then(|| format!("flags={}", value(&field.value)))
        }
        _ if is_marked => Some(format!("{name}={}", value(&field.value))),
        _ => None,
    }
}

/// Bits by their names alone, where all of them have one; and short.
fn value(value: &str) -> String {
    let value = harmless(value);
    let names = value.split_once(" (").and_then(|(number, rest)| Some((number, rest.strip_suffix(')')?)));
    match names {
        Some((number, names)) if number.starts_with("0x") && !names.contains(' ') => cut(names, VALUE),
        _ => cut(&value, VALUE),
    }
}

/// Leaves out fields of the payload until the line is short enough; never one that is marked.
fn fit(head: String, header: &[Word], mut payload: Vec<Word>) -> String {
    let mut left_out = false;
    loop {
        let mut line = head.clone();
        for (text, _) in header {
            line.push(' ');
            line.push_str(text);
        }
        let mut fields: Vec<&str> = payload.iter().map(|(text, _)| text.as_str()).collect();
        if left_out {
            fields.push("..");
        }
        if !fields.is_empty() {
            line.push_str(&format!(" {{{}}}", fields.join(" ")));
        }
        if line.chars().count() <= WIDTH {
            return line;
        }
        // A field that is 0 says least.
        let least = payload.iter().rposition(|(text, marked)| !marked && text.ends_with("=0"));
        match least.or_else(|| payload.iter().rposition(|(_, marked)| !marked)) {
            Some(last) => {
                payload.remove(last);
                left_out = true;
            }
            None => return cut(&line, WIDTH),
        }
    }
}
