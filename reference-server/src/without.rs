//! The conformance device without some of what it has: conforming servers differ in what they offer.

use std::str::FromStr;

/// Something that a device or a server may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// The DMA engine: client memory is never accessed. Maps are kept, for a client sends them all the same.
    Dma,
    /// The log of DMA writes.
    DmaLogging,
    /// Interrupts: every type has a count of 0.
    Interrupts,
    /// Interrupt types: num_irqs is 0.
    InterruptTypes,
    /// All regions but configuration space, and the one for migration.
    Regions,
    /// Migration.
    Migration,
    /// The state PRE_COPY of migration.
    PreCopy,
    /// REGION_WRITE_MULTI: write_multiple is not selected.
    WriteMulti,
    /// DEVICE_GET_REGION_IO_FDS, which is optional (942).
    IoFds,
    /// The twin socket: the server's own commands travel on the main one.
    TwinSocket,
}

impl Feature {
    /// Every feature, with the word for it.
    pub const ALL: [(&'static str, Feature); 10] = [
        ("dma", Feature::Dma),
        ("dma-logging", Feature::DmaLogging),
        ("interrupts", Feature::Interrupts),
        ("interrupt-types", Feature::InterruptTypes),
        ("regions", Feature::Regions),
        ("migration", Feature::Migration),
        ("pre-copy", Feature::PreCopy),
        ("write-multi", Feature::WriteMulti),
        ("io-fds", Feature::IoFds),
        ("twin-socket", Feature::TwinSocket),
    ];
}

impl FromStr for Feature {
    type Err = String;

    /// # Errors
    /// A sentence with all words, where this is none of them.
    fn from_str(word: &str) -> Result<Feature, String> {
        let found = Feature::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, feature)| *feature).ok_or_else(|| {
            let words: Vec<&str> = Feature::ALL.iter().map(|(name, _)| *name).collect();
            format!("`{word}` is nothing to be without: {}", words.join(", "))
        })
    }
}

/// What is left out; nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Without {
    bits: u32,
}

impl Without {
    /// This feature is left out.
    pub fn has(self, feature: Feature) -> bool {
        self.bits & (1 << feature as u32) != 0
    }
}

impl FromIterator<Feature> for Without {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Without {
        Without { bits: features.into_iter().fold(0, |bits, feature| bits | 1 << feature as u32) }
    }
}
