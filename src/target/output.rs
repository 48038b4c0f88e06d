//! What a server printed: where it crashed, and the lines that say most.

/// How much of a line is shown: a panic may print a whole message, byte by byte.
const LINE: usize = 300;
/// How many lines stand in a sentence.
const IN_SENTENCE: usize = 10;

/// With what the reports of sanitizers begin: of some, a server goes on.
const SANITIZERS: [&str; 5] = [
    "ERROR: AddressSanitizer",
    "ERROR: HWAddressSanitizer",
    "WARNING: MemorySanitizer",
    "WARNING: ThreadSanitizer",
    ": runtime error: ",
];

/// The line of a sanitizer's report in what a server printed.
pub fn sanitizer_report(output: &str) -> Option<String> {
    crash_report(output).filter(|report| SANITIZERS.iter().any(|mark| report.contains(mark)))
}

/// The line of a panic or a sanitizer's report in what a server printed.
pub fn crash_report(output: &str) -> Option<String> {
    let lines: Vec<&str> = output.lines().collect();
    let at = crash_line(&lines)?;
    // A panic's message stands on the line behind its place; the thread's number before it differs from run to run.
    let text = lines.get(at..lines.len().min(at + 2)).unwrap_or_default().join(" ");
    let text = text.find("panicked at").and_then(|start| text.get(start..)).unwrap_or(&text);
    Some(text.trim().chars().take(LINE).collect())
}

/// At most so many lines of what a server printed, and how many were left out: the last ones, but where these are only
/// the trace of a crash, those with which it begins.
pub fn excerpt(output: &str, most: usize) -> Vec<String> {
    let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.len().saturating_sub(most);
    let first = crash_line(&lines).map_or(last, |crash| crash.min(last));
    let shown = lines.iter().skip(first).take(most);
    let after = lines.len().saturating_sub(first + most);
    let left_out = |count: usize, whence: &str| {
        let s = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!(".. {count} line{s} {whence}"))
    };
    let mut told: Vec<String> = left_out(first, "before").into_iter().collect();
    told.extend(shown.map(|line| match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}..", line.get(..end).unwrap_or_default()),
        None => (*line).to_owned(),
    }));
    told.extend(left_out(after, "after"));
    told
}

/// The lines that say most, for the end of a sentence.
pub(super) fn printed(output: &str) -> String {
    let lines = excerpt(output, IN_SENTENCE);
    if lines.is_empty() { String::new() } else { format!("; it printed:\n{}", lines.join("\n")) }
}

fn crash_line(lines: &[&str]) -> Option<usize> {
    let marks = || SANITIZERS.into_iter().chain(["panicked at", "Assertion `", "stack smashing detected"]);
    lines.iter().position(|line| marks().any(|mark| line.contains(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(lines: std::ops::Range<usize>) -> String {
        lines.map(|n| format!("line {n}\n")).collect()
    }

    #[test]
    fn the_last_lines_are_shown() {
        assert_eq!(excerpt(&numbered(0..5), 2), [".. 3 lines before", "line 3", "line 4"]);
        assert_eq!(excerpt("a\n\n  \nb\n", 2), ["a", "b"]);
        assert_eq!(printed(""), "");
        assert_eq!(printed("a\nb"), "; it printed:\na\nb");
    }

    #[test]
    fn a_backtrace_does_not_hide_the_panic() {
        let output = format!("starting\nthread 'main' panicked at src/lib.rs:1:1:\nwhy\n{}", numbered(0..3));
        assert_eq!(
            excerpt(&output, 2),
            [".. 1 line before", "thread 'main' panicked at src/lib.rs:1:1:", "why", ".. 3 lines after"]
        );
        let ends_with_it = format!("{}thread 'main' panicked at src/lib.rs:1:1:\nwhy\n", numbered(0..3));
        assert_eq!(excerpt(&ends_with_it, 3).first().unwrap(), ".. 2 lines before");
    }

    #[test]
    fn a_long_line_is_cut() {
        let line = "\u{e9}".repeat(70_000);
        assert_eq!(excerpt(&line, 2), [format!("{}..", "\u{e9}".repeat(300))]);
        assert!(printed(&line).len() < 1000);
    }
}
