//! Names of others as ids of places on a page.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// So many characters of a name stand in an id; a longer one ends with its digest.
const LONGEST: usize = 100;

/// Letters, digits and `.-_`, which mean themselves in an id and in an address alike; every other byte is written as two digits
/// behind a `~`.
pub(in crate::report) fn slug(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "~{byte:02x}");
        }
        if out.len() > LONGEST {
            let digest: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            return format!("{out}~{digest}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_that_differ_have_ids_that_differ() {
        let names = ["a", "a/b", "a~2fb", "a b", "A", "a.b", "\u{e9}", "", "<a>", "a\"b"];
        let long: Vec<String> = (0..3).map(|n| format!("{}{n}", "x/".repeat(5_000))).collect();
        let slugs: BTreeSet<String> = names.iter().copied().chain(long.iter().map(String::as_str)).map(slug).collect();
        assert_eq!(slugs.len(), names.len() + long.len());
        assert!(slugs.iter().all(|slug| slug.len() < 130), "{slugs:?}");
        assert_eq!(slug("header.split/15"), "header.split~2f15");
    }
}
