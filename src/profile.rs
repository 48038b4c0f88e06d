//! The versions of the protocol that a server can be judged by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use vfio_user_wire::{Dialect, V0_9_1, V0_9_2, V8, V8C};

use crate::case::similar;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Profile {
    /// Version 8: DMA commands with tables, other numbers from 6 on.
    #[serde(rename = "v8")]
    V8,
    /// Version 0.9.1 while its DMA commands carried tables.
    #[serde(rename = "v8c")]
    V8C,
    /// Version 0.9.1: DIRTY_PAGES and the migration region.
    #[serde(rename = "0.9.1")]
    V0_9_1,
    /// The current one.
    #[default]
    #[serde(rename = "0.9.2")]
    V0_9_2,
}

impl Profile {
    /// All, the oldest first.
    pub const ALL: [Profile; 4] = [Profile::V8, Profile::V8C, Profile::V0_9_1, Profile::V0_9_2];

    /// Its commands and their layouts.
    pub const fn dialect(self) -> &'static Dialect {
        match self {
            Profile::V8 => &V8,
            Profile::V8C => &V8C,
            Profile::V0_9_1 => &V0_9_1,
            Profile::V0_9_2 => &V0_9_2,
        }
    }

    /// What `--profile` takes.
    pub const fn name(self) -> &'static str {
        self.dialect().name
    }

    /// The profiles that the register means by its words: `all`, `>=leg`, `0.9.2+late leg`, `legacy-a (9ed0776..57684de)`.
    /// `None` for words that it does not have.
    pub(crate) fn meant_by(words: &str) -> Option<Vec<Profile>> {
        let mut meant = Vec::new();
        // What stands in parentheses are the commits between which the text had it.
        let words = words.split_once(" (").map_or(words, |(words, _)| words);
        for word in words.split(['+', ',']) {
            let profiles: &[Profile] = match word {
                "all" => &Profile::ALL,
                ">=leg" | ">=late leg" => &[Profile::V0_9_1, Profile::V0_9_2],
                "0.9.x" => &[Profile::V8C, Profile::V0_9_1, Profile::V0_9_2],
                "0.9.2" => &[Profile::V0_9_2],
                // The texts between the first of 0.9.1 without tables and the last of it: the last is its profile. The pfn
                // query is an addition to its migration region.
                "legacy" | "legacy-a" | "legacy-b" | "late leg" | "pfn" => &[Profile::V0_9_1],
                "v8" => &[Profile::V8],
                "v8c" => &[Profile::V8C],
                _ => return None,
            };
            meant.extend(profiles);
        }
        meant.sort_unstable();
        meant.dedup();
        Some(meant)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is not the name of a profile.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no profile `{name}`{hint}")]
pub struct UnknownProfile {
    name: String,
    hint: String,
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Profile, UnknownProfile> {
        let known = Profile::ALL.into_iter().find(|profile| profile.name() == name);
        known.ok_or_else(|| {
            let near = similar(name, Profile::ALL.map(Profile::name));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            UnknownProfile { name: name.to_owned(), hint }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Profile::{V0_9_1, V0_9_2, V8, V8C};
    use super::*;

    #[test]
    fn the_words_of_the_register_are_understood() {
        let meant = |words| Profile::meant_by(words).unwrap_or_default();
        assert_eq!(meant("all"), Profile::ALL);
        assert_eq!(meant("0.9.2+late leg"), [V0_9_1, V0_9_2]);
        assert_eq!(meant("0.9.x"), [V8C, V0_9_1, V0_9_2]);
        assert_eq!(meant("legacy-a,v8,v8c"), [V8, V8C, V0_9_1]);
        assert_eq!(meant("legacy-a (9ed0776..57684de)"), [V0_9_1]);
        assert_eq!(Profile::meant_by("0.9"), None);
    }
}
