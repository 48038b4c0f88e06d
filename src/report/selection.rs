//! Which cases a run selected, in so few bytes that each part of it can say so of all.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256 of the names of cases, in whatever order they are given; in hexadecimal where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selection([u8; 32]);

impl Selection {
    /// That of these names.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Selection {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        let mut hash = Sha256::new();
        for name in names {
            // What is between two names is in none: `a`, `bc` are others than `ab`, `c`.
            hash.update(name);
            hash.update("\n");
        }
        Selection(hash.finalize().into())
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Selection> for String {
    fn from(selection: Selection) -> String {
        selection.to_string()
    }
}

impl TryFrom<String> for Selection {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Selection, Self::Error> {
        const WRONG: &str = "a SHA-256 has 64 digits from 0 to f";
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        for (n, byte) in bytes.iter_mut().enumerate() {
            let pair = text.get(2 * n..2 * n + 2).ok_or(WRONG)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| WRONG)?;
        }
        Ok(Selection(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_others_in_any_order() {
        // printf 'a\nb\n' | sha256sum
        let told = "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2";
        let two = Selection::of(["b", "a"]);
        assert_eq!(two, Selection::of(["a", "b"]));
        assert_eq!(two.to_string(), told);
        for other in [&["ab"][..], &["a"], &["a", "b", "c"], &["a", "c"], &[]] {
            assert_ne!(Selection::of(other.iter().copied()), two, "{other:?}");
        }
        assert_eq!(Selection::try_from(told.to_owned()), Ok(two));
        for wrong in ["", "91", &told.replace('9', "+"), &told.replace('9', "ä")] {
            assert!(Selection::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
