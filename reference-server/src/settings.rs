//! Which server to be: the protocol that it speaks, and what of the conformance device it has.

use std::str::FromStr;

use vfio_user_wire::{Dialect, V0_9_1, V0_9_2, V8, V8C};

use crate::without::{Feature, Without};

/// The protocol that a server speaks. It speaks one: no message says which.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// The current one.
    #[default]
    V0_9_2,
    /// The one before, with DIRTY_PAGES and a region for migration.
    V0_9_1,
    /// The same in the beginning, when DMA commands carried tables.
    V8C,
    /// An early one, with tables, too.
    V8,
}

impl Profile {
    /// Its commands.
    pub fn dialect(self) -> &'static Dialect {
        match self {
            Profile::V0_9_2 => &V0_9_2,
            Profile::V0_9_1 => &V0_9_1,
            Profile::V8C => &V8C,
            Profile::V8 => &V8,
        }
    }

    /// Its text has this.
    pub(crate) fn has(self, feature: Feature) -> bool {
        match feature {
            Feature::WriteMulti => self == Profile::V0_9_2,
            Feature::TwinSocket => matches!(self, Profile::V0_9_2 | Profile::V0_9_1),
            Feature::IoFds => self != Profile::V8,
            _ => true,
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    /// # Errors
    /// A sentence with all names, where this is none of them.
    fn from_str(name: &str) -> Result<Profile, String> {
        let profiles = [Profile::V0_9_2, Profile::V0_9_1, Profile::V8C, Profile::V8];
        let found = profiles.into_iter().find(|profile| profile.dialect().name == name);
        found.ok_or_else(|| {
            let names = profiles.map(|profile| profile.dialect().name);
            format!("`{name}` is no profile: {}", names.join(", "))
        })
    }
}

/// Something that a server has only where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Dirty pages can be asked for in the migration region, by page number. No text of vfio-user has this.
    PfnQuery,
}

impl FromStr for Extra {
    type Err = String;

    /// # Errors
    /// A sentence with the only word that there is.
    fn from_str(word: &str) -> Result<Extra, String> {
        match word {
            "pfn-query" => Ok(Extra::PfnQuery),
            _ => Err(format!("`{word}` is nothing to be with: pfn-query")),
        }
    }
}

/// All that is set before a server starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// The protocol.
    pub profile: Profile,
    /// What is left out.
    pub without: Without,
    /// What is added.
    pub with: Option<Extra>,
}

impl Settings {
    /// This is left out, or the protocol does not know it.
    pub(crate) fn lacks(self, feature: Feature) -> bool {
        self.without.has(feature) || !self.profile.has(feature)
    }

    /// Migration is by a region of its own.
    pub fn has_migration_region(self) -> bool {
        self.profile != Profile::V0_9_2 && !self.lacks(Feature::Migration)
    }
}

impl From<Profile> for Settings {
    fn from(profile: Profile) -> Settings {
        Settings { profile, ..Settings::default() }
    }
}

impl From<Without> for Settings {
    fn from(without: Without) -> Settings {
        Settings { without, ..Settings::default() }
    }
}
