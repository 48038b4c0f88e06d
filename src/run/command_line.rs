//! Words for a shell.

/// A word as a shell takes it back.
pub(crate) fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

/// Words as a shell takes them back.
pub(crate) fn joined(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// The words that run a case again. A name that has braces itself is left as it is.
pub(super) fn filled(replay: &str, file: &str, case: &str) -> String {
    let mut out = String::new();
    let mut rest = replay;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (word, after) = if let Some(after) = from.strip_prefix("{file}") {
            (file, after)
        } else if let Some(after) = from.strip_prefix("{case}") {
            (case, after)
        } else {
            from.split_at(1)
        };
        out.push_str(word);
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_braces_are_left_as_they_are() {
        let replay = "replay {file} --spawn 'x {socket}' {case}";
        assert_eq!(filled(replay, "a.case", "a.b"), "replay a.case --spawn 'x {socket}' a.b");
        assert_eq!(filled(replay, "'{case}.case'", "{file}"), "replay '{case}.case' --spawn 'x {socket}' {file}");
        assert_eq!(filled("{{case}} {", "", "a.b"), "{a.b} {");
    }
}
