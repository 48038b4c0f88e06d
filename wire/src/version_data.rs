//! The JSON of VERSION (specification 494-593).

use serde_json::{Map, Value};

/// Descriptors that a peer takes in one message where it says nothing (517-520).
pub const DEFAULT_MAX_MSG_FDS: u64 = 1;
/// Most bytes in one data transfer where a peer says nothing (522-524).
pub const DEFAULT_MAX_DATA_XFER_SIZE: u64 = 1 << 20;
/// Most maps at one time where a peer says nothing (526-528).
pub const DEFAULT_MAX_DMA_MAPS: u64 = 65535;
/// Page sizes where a peer says nothing (530-532).
pub const DEFAULT_PGSIZES: u64 = 4096;

/// The version data of one peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionData {
    /// The top-level object; empty where there was no data.
    pub object: Map<String, Value>,
}

/// What a peer's well-formed numbers say, or the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Descriptors that it takes in one message.
    pub max_msg_fds: u64,
    /// Most bytes of data in one transfer message.
    pub max_data_xfer_size: u64,
    /// Most maps at one time.
    pub max_dma_maps: u64,
    /// Page sizes, or'ed together.
    pub pgsizes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_msg_fds: DEFAULT_MAX_MSG_FDS,
            max_data_xfer_size: DEFAULT_MAX_DATA_XFER_SIZE,
            max_dma_maps: DEFAULT_MAX_DMA_MAPS,
            pgsizes: DEFAULT_PGSIZES,
        }
    }
}

/// Why version data is not what the specification says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionDataError {
    /// No NUL at its end.
    #[error("the version data does not end in a NUL byte")]
    NoNul,
    /// A NUL before its end.
    #[error("a NUL byte stands inside the version data, at {0}")]
    InteriorNul(usize),
    /// Not UTF-8.
    #[error("the version data is not UTF-8 (valid up to byte {0})")]
    NotUtf8(usize),
    /// Not JSON.
    #[error("the version data is not JSON: {0}")]
    NotJson(String),
    /// JSON, but no object at the top.
    #[error("the version data is JSON but no object")]
    NotObject,
    /// `capabilities` is there and no object.
    #[error("`capabilities` is no object")]
    CapabilitiesNotObject,
}

impl VersionData {
    /// Parses what follows the four bytes of major and minor; nothing at all is no data, and trailing NULs are taken
    /// as one.
    ///
    /// # Errors
    /// The first thing wrong with the data. Nesting is limited by the JSON parser.
    pub fn parse(data: &[u8]) -> Result<VersionData, VersionDataError> {
        if data.is_empty() {
            return Ok(VersionData::default());
        }
        let Some(end) = data.iter().rposition(|byte| *byte != 0) else {
            return Err(VersionDataError::NotJson("it is empty".to_owned()));
        };
        if end + 1 == data.len() {
            return Err(VersionDataError::NoNul);
        }
        let text = &data[..=end];
        if let Some(nul) = text.iter().position(|byte| *byte == 0) {
            return Err(VersionDataError::InteriorNul(nul));
        }
        let text = std::str::from_utf8(text).map_err(|error| VersionDataError::NotUtf8(error.valid_up_to()))?;
        let value: Value = serde_json::from_str(text).map_err(|error| VersionDataError::NotJson(error.to_string()))?;
        let Value::Object(object) = value else { return Err(VersionDataError::NotObject) };
        match object.get("capabilities") {
            None | Some(Value::Object(_)) => Ok(VersionData { object }),
            Some(_) => Err(VersionDataError::CapabilitiesNotObject),
        }
    }

    /// The data with these capabilities.
    pub fn with_capabilities(capabilities: Map<String, Value>) -> VersionData {
        let mut object = Map::new();
        object.insert("capabilities".to_owned(), Value::Object(capabilities));
        VersionData { object }
    }

    /// The capabilities, if there are any.
    pub fn capabilities(&self) -> Option<&Map<String, Value>> {
        self.object.get("capabilities").and_then(Value::as_object)
    }

    /// The capability of that name.
    pub fn capability(&self, name: &str) -> Option<&Value> {
        self.capabilities()?.get(name)
    }

    /// The number that a capability gives; `None` where it is absent or no non-negative integer (policy A-21).
    pub fn number(&self, name: &str) -> Option<u64> {
        self.capability(name)?.as_u64()
    }

    /// The limits that this peer states, with the defaults for what it does not state.
    pub fn limits(&self) -> Limits {
        let defaults = Limits::default();
        Limits {
            max_msg_fds: self.number("max_msg_fds").unwrap_or(defaults.max_msg_fds),
            max_data_xfer_size: self.number("max_data_xfer_size").unwrap_or(defaults.max_data_xfer_size),
            max_dma_maps: self.number("max_dma_maps").unwrap_or(defaults.max_dma_maps),
            pgsizes: self.number("pgsizes").unwrap_or(defaults.pgsizes),
        }
    }

    /// Its bytes on the wire: JSON and a NUL.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Value::Object(self.object.clone()).to_string().into_bytes();
        bytes.push(0);
        bytes
    }
}
