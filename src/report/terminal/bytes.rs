//! The bytes of a message, with a field underlined.

use super::paint::{DIM, RED, paint};
use crate::report::text::{cut, harmless};
use crate::session::Entry;
use crate::verdict::FieldMark;

/// Bytes in a row.
const ROW: usize = 16;
/// Rows of a message that is shown as a whole.
const WHOLE: usize = 5;
/// Rows of a long field that are shown.
const LONG: usize = 3;

/// The bytes of a message in rows, the field underlined where there is one.
pub(super) fn lines(entry: &Entry, field: Option<&FieldMark>) -> Vec<String> {
    let bytes: Vec<&str> = entry.bytes.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
    let rows = bytes.len().div_ceil(ROW);
    // A field is where it should be; the message may end before it.
    let marked = field.map(|field| {
        (field, field.offset.min(bytes.len())..field.offset.saturating_add(field.length).min(bytes.len()))
    });
    let shown = rows_shown(rows, marked.as_ref().map(|(_, range)| range.clone()));
    let mut lines = Vec::new();
    let mut last: Option<usize> = None;
    for row in shown {
        if last.map_or(row > 0, |last| row > last + 1) {
            lines.push(paint(DIM, "   .."));
        }
        let start = row * ROW;
        let in_row: Vec<&str> = bytes.iter().skip(start).take(ROW).copied().collect();
        lines.push(format!("{}  {}", paint(DIM, format!("{start:04x}")), spaced(&in_row)));
        if let Some((field, range)) = &marked {
            lines.extend(underline(entry, field, range, start, in_row.len()));
        }
        last = Some(row);
    }
    if last.is_some_and(|last| last + 1 < rows) || bytes.len() < entry.length {
        lines.push(paint(DIM, format!("   .. {} bytes in all", entry.length)));
    }
    if let Some((field, _)) = marked.filter(|(field, range)| range.is_empty() && field.length > 0) {
        let end = entry.length;
        lines.push(paint(
            RED,
            format!("      {} would be at byte {}; the message ends at {end}", field.name, field.offset),
        ));
    }
    lines
}

/// The first row is the header; the field stands between the row before it and the one behind it.
fn rows_shown(rows: usize, marked: Option<std::ops::Range<usize>>) -> Vec<usize> {
    if rows <= WHOLE {
        return (0..rows).collect();
    }
    let mut shown: Vec<usize> = vec![0];
    match marked.filter(|range| !range.is_empty()) {
        None => shown.extend(1..LONG),
        Some(range) => {
            let (first, last) = (range.start / ROW, (range.end - 1) / ROW);
            let last = (last + 1).min(first + LONG).min(rows - 1);
            shown.extend(first.saturating_sub(1).max(1)..=last);
        }
    }
    shown
}

fn spaced(bytes: &[&str]) -> String {
    bytes.chunks(ROW / 2).map(|half| half.join(" ")).collect::<Vec<_>>().join("  ")
}

/// Where the byte at this place of a row stands.
fn column(place: usize) -> usize {
    place * 3 + usize::from(place >= ROW / 2)
}

fn underline(
    entry: &Entry,
    field: &FieldMark,
    range: &std::ops::Range<usize>,
    start: usize,
    in_row: usize,
) -> Option<String> {
    let (from, to) = (range.start.max(start), range.end.min(start + in_row));
    if from >= to {
        return None;
    }
    let (left, right) = (column(from - start), column(to - 1 - start) + 2);
    let carets = "^".repeat(right - left);
    let mut text = format!("{:indent$}{}", "", paint(RED, carets), indent = 6 + left);
    if range.end <= start + ROW {
        let value =
            entry.fields.iter().find(|decoded| decoded.name == field.name).map(|decoded| harmless(&decoded.value));
        let label = match value {
            Some(value) if field.length <= 8 => format!("{} = {value}", field.name),
            _ => field.name.clone(),
        };
        text = format!("{text} {}", paint(RED, cut(&label, 50)));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Way;

    fn entry(length: usize, kept: usize) -> Entry {
        Entry {
            n: 1,
            client: "a".to_owned(),
            channel: "main".to_owned(),
            direction: Way::Received,
            message: "DMA_MAP reply".to_owned(),
            length,
            bytes: "ab".repeat(kept),
            fields: Vec::new(),
            fds: 0,
            cuts: Vec::new(),
        }
    }

    fn shown(entry: &Entry, offset: usize, length: usize) -> String {
        let field = FieldMark { name: "f".to_owned(), offset, length };
        let lines = lines(entry, Some(&field));
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_field_is_underlined_across_the_gap() {
        assert_eq!(
            shown(&entry(16, 16), 6, 4),
            "0000  ab ab ab ab ab ab ab ab  ab ab ab ab ab ab ab ab\n                        ^^^^^^^^^^^^ f"
        );
    }

    #[test]
    fn a_field_across_two_rows_is_named_once() {
        assert_eq!(
            shown(&entry(20, 20), 12, 8),
            "\
0000  ab ab ab ab ab ab ab ab  ab ab ab ab ab ab ab ab
                                           ^^^^^^^^^^^
0010  ab ab ab ab
      ^^^^^^^^^^^ f"
        );
    }

    #[test]
    fn rows_far_from_the_field_are_left_out() {
        let text = shown(&entry(4112, 4096), 1024, 4);
        assert_eq!(
            text.lines().map(|line| line.split("  ").next().unwrap_or_default()).collect::<Vec<_>>(),
            ["0000", "", "03f0", "0400", "", "0410", ""]
        );
        assert!(text.ends_with("   .. 4112 bytes in all"));
    }

    #[test]
    fn a_field_behind_the_end_is_told_in_words() {
        assert_eq!(shown(&entry(4, 4), 24, 8), "0000  ab ab ab ab\n      f would be at byte 24; the message ends at 4");
    }

    #[test]
    fn a_field_of_a_message_without_bytes_is_told_in_words() {
        assert_eq!(shown(&entry(0, 0), 0, 2), "      f would be at byte 0; the message ends at 0");
    }
}
