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
/// Most bytes of a message, its header included, where a peer of version 8, or of 0.9.1 before commit 57684de, says
/// nothing (0.9.1 at 9ed0776, 496-500).
pub const DEFAULT_MAX_MSG_SIZE: u64 = 4096;
/// The longest version data that is read, in bytes: some dozens of bytes of memory stand for each of them, and no peer says
/// that much.
pub const MOST_VERSION_DATA: usize = 64 << 10;
/// Descriptors that a peer of version 8 takes in one message where it says nothing (version 8 at 595dff9, 448-452).
pub const DEFAULT_MAX_FDS: u64 = 1;

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

/// What a peer's well-formed numbers say, or the defaults, for the capabilities that 0.9.2 has no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyLimits {
    /// Descriptors that it takes in one message; later `max_msg_fds`.
    pub max_fds: u64,
    /// Most bytes of a message, its header included.
    pub max_msg_size: u64,
    /// It can migrate: there is an object `migration`.
    pub migration: bool,
    /// Bytes of memory for each bit of its bitmaps, where it says so: between two peers the smaller number counts.
    pub pgsize: Option<u64>,
}

impl Default for LegacyLimits {
    fn default() -> Self {
        LegacyLimits { max_fds: DEFAULT_MAX_FDS, max_msg_size: DEFAULT_MAX_MSG_SIZE, migration: false, pgsize: None }
    }
}

/// Why version data is not what the specification says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionDataError {
    /// No NUL at its end.
    #[error("the version data does not end in a NUL byte")]
    NoNul,
    /// More than anybody reads.
    #[error("the version data has {0} bytes, more than {MOST_VERSION_DATA}, and was not read")]
    TooLong(usize),
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
    /// The first thing wrong with the data. Its length is limited, and its nesting by the JSON parser.
    pub fn parse(data: &[u8]) -> Result<VersionData, VersionDataError> {
        if data.is_empty() {
            return Ok(VersionData::default());
        }
        if data.len() > MOST_VERSION_DATA {
            return Err(VersionDataError::TooLong(data.len()));
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

    /// The members of the object, of which the specification knows `capabilities` alone.
    pub fn members(&self) -> &Map<String, Value> {
        &self.object
    }

    /// The capabilities, if there are any.
    pub fn capabilities(&self) -> Option<&Map<String, Value>> {
        self.object.get("capabilities").and_then(Value::as_object)
    }

    /// The capability of that name.
    pub fn capability(&self, name: &str) -> Option<&Value> {
        self.capabilities()?.get(name)
    }

    /// The number that a capability gives; `None` where it is absent or no non-negative integer.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.capability(name)?.as_u64()
    }

    /// The same, with 4096 for what is written 4096.0 or 4.096e3: JSON has one kind of number.
    #[must_use]
    pub fn with_whole_numbers(mut self) -> VersionData {
        self.object.values_mut().for_each(make_whole);
        self
    }

    /// The limits that this peer states, with the defaults for what it does not state.
    pub fn limits(&self) -> Limits {
        // A limit holds only where it is a well-formed positive integer (policy A-21).
        let limit = |name, default| self.number(name).filter(|number| *number > 0).unwrap_or(default);
        Limits {
            // None at all is a number of descriptors that a peer can take.
            max_msg_fds: self.number("max_msg_fds").unwrap_or(DEFAULT_MAX_MSG_FDS),
            max_data_xfer_size: limit("max_data_xfer_size", DEFAULT_MAX_DATA_XFER_SIZE),
            max_dma_maps: limit("max_dma_maps", DEFAULT_MAX_DMA_MAPS),
            pgsizes: limit("pgsizes", DEFAULT_PGSIZES),
        }
    }

    /// The limits that this peer states by the capabilities of version 8 and of 0.9.1, with the defaults for what it does
    /// not state.
    pub fn legacy_limits(&self) -> LegacyLimits {
        let positive = |number: &u64| *number > 0;
        let migration = self.capability("migration").and_then(Value::as_object);
        LegacyLimits {
            max_fds: self.number("max_fds").unwrap_or(DEFAULT_MAX_FDS),
            max_msg_size: self.number("max_msg_size").filter(positive).unwrap_or(DEFAULT_MAX_MSG_SIZE),
            migration: migration.is_some(),
            pgsize: migration.and_then(|migration| migration.get("pgsize")?.as_u64()).filter(positive),
        }
    }

    /// Its bytes on the wire: JSON and a NUL.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Value::Object(self.object.clone()).to_string().into_bytes();
        bytes.push(0);
        bytes
    }
}

fn make_whole(value: &mut Value) {
    /// A float holds every integer below.
    const MOST: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && (0.0..MOST).contains(float));
            if let (None, Some(float)) = (number.as_u64(), float) {
                *number = (float as u64).into();
            }
        }
        Value::Object(members) => members.values_mut().for_each(make_whole),
        Value::Array(values) => values.iter_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(json: &str) -> Result<VersionData, VersionDataError> {
        VersionData::parse(format!("{json}\0").as_bytes())
    }

    /// The limits of a peer that gives these capabilities.
    fn limits(capabilities: &str) -> Limits {
        parsed(&format!("{{\"capabilities\":{capabilities}}}")).unwrap().limits()
    }

    #[test]
    fn a_peer_that_says_nothing_has_the_defaults() {
        let defaults = Limits { max_msg_fds: 1, max_data_xfer_size: 1_048_576, max_dma_maps: 65_535, pgsizes: 0x1000 };
        assert_eq!(Limits::default(), defaults);
        assert_eq!(VersionData::parse(&[]).unwrap().limits(), defaults);
        assert_eq!(parsed("{}").unwrap().limits(), defaults);
        assert_eq!(limits("{}"), defaults);
        assert_eq!(limits(r#"{"max_msg_sz":4096,"twin_socket":{"supported":true}}"#), defaults);
    }

    #[test]
    fn long_data_are_not_read() {
        let of = |length: usize| parsed(&format!("{{}}{}", " ".repeat(length - "{}\0".len()))).err();
        assert_eq!(of(MOST_VERSION_DATA), None);
        assert_eq!(of(MOST_VERSION_DATA + 1), Some(VersionDataError::TooLong(MOST_VERSION_DATA + 1)));
    }

    #[test]
    fn a_number_may_be_written_as_json_writes_numbers() {
        let said = r#"{"max_msg_fds":1.6e1,"max_data_xfer_size":4.096E+3,"pgsizes":8192.0,"max_dma_maps":2.5}"#;
        let said = parsed(&format!("{{\"capabilities\":{said}}}")).unwrap().with_whole_numbers().limits();
        assert_eq!(said, Limits { max_msg_fds: 16, max_data_xfer_size: 4096, pgsizes: 8192, ..Limits::default() });
    }

    #[test]
    fn each_number_sets_its_own_limit() {
        assert_eq!(limits(r#"{"max_msg_fds":8}"#), Limits { max_msg_fds: 8, ..Limits::default() });
        assert_eq!(limits(r#"{"max_data_xfer_size":4}"#), Limits { max_data_xfer_size: 4, ..Limits::default() });
        assert_eq!(limits(r#"{"max_dma_maps":1}"#), Limits { max_dma_maps: 1, ..Limits::default() });
        assert_eq!(limits(r#"{"pgsizes":69632}"#), Limits { pgsizes: 0x11000, ..Limits::default() });
        assert_eq!(
            limits(r#"{"pgsizes":4,"max_dma_maps":3,"max_data_xfer_size":2,"max_msg_fds":1}"#),
            Limits { max_msg_fds: 1, max_data_xfer_size: 2, max_dma_maps: 3, pgsizes: 4 }
        );
    }

    #[test]
    fn only_a_well_formed_positive_integer_is_a_limit() {
        // Policy A-21.
        for number in ["4294967296", "18446744073709551615"] {
            let stated = limits(&format!("{{\"max_data_xfer_size\":{number}}}"));
            assert_eq!(stated.max_data_xfer_size.to_string(), number);
        }
        let zero = Limits { max_msg_fds: 0, ..Limits::default() };
        assert_eq!(limits(r#"{"max_msg_fds":0,"max_data_xfer_size":0,"max_dma_maps":0,"pgsizes":0}"#), zero);
        let malformed = [
            "-0",
            "-1",
            "1e3",
            "1.0",
            "1.5",
            "18446744073709551616",
            "1180591620717411303424",
            "null",
            "true",
            "\"8\"",
            "\"\"",
            "[8]",
            "{}",
        ];
        for name in ["max_msg_fds", "max_data_xfer_size", "max_dma_maps", "pgsizes"] {
            for value in malformed {
                assert_eq!(limits(&format!("{{\"{name}\":{value}}}")), Limits::default(), "{name}: {value}");
            }
        }
    }

    #[test]
    fn a_malformed_limit_leaves_the_others_as_they_are() {
        assert_eq!(
            limits(r#"{"max_msg_fds":"many","max_dma_maps":7}"#),
            Limits { max_dma_maps: 7, ..Limits::default() }
        );
    }

    #[test]
    fn each_thing_that_data_must_be_has_its_error() {
        use VersionDataError::{CapabilitiesNotObject, InteriorNul, NoNul, NotJson, NotObject, NotUtf8};
        assert_eq!(VersionData::parse(b"{}"), Err(NoNul));
        assert_eq!(VersionData::parse(b"{}\0\0"), VersionData::parse(b"{}\0"));
        assert_eq!(VersionData::parse(b"{}\0{}\0"), Err(InteriorNul(2)));
        assert_eq!(VersionData::parse(b"{\"\xff\":1}\0"), Err(NotUtf8(2)));
        for text in [&b"\0"[..], b"\0\0\0", b" \0", b"{\0", b"{} {}\0", b"{\"a\":1,}\0"] {
            assert!(matches!(VersionData::parse(text), Err(NotJson(_))), "{text:?}");
        }
        for text in ["null", "1", "[]", "\"capabilities\""] {
            assert_eq!(parsed(text), Err(NotObject), "{text}");
        }
        for value in ["null", "1", "[]", "\"\""] {
            assert_eq!(parsed(&format!("{{\"capabilities\":{value}}}")), Err(CapabilitiesNotObject), "{value}");
        }
        assert!(parsed("{\"other\":1}").unwrap().capabilities().is_none());
    }

    #[test]
    fn capabilities_keep_their_order_and_end_in_one_nul() {
        let capabilities = json!({"write_multiple": true, "max_msg_fds": 8, "pgsizes": 4096});
        let data = VersionData::with_capabilities(capabilities.as_object().unwrap().clone());
        assert_eq!(data.bytes(), b"{\"capabilities\":{\"write_multiple\":true,\"max_msg_fds\":8,\"pgsizes\":4096}}\0");
        assert_eq!(VersionData::parse(&data.bytes()), Ok(data.clone()));
        assert_eq!(data.capability("write_multiple"), Some(&json!(true)));
        assert_eq!(data.number("write_multiple"), None);
        assert_eq!(data.number("max_msg_fds"), Some(8));
    }

    #[test]
    fn the_limits_of_before_are_read_as_those_of_now() {
        let legacy =
            |capabilities: &str| parsed(&format!("{{\"capabilities\":{capabilities}}}")).unwrap().legacy_limits();
        let defaults = LegacyLimits { max_fds: 1, max_msg_size: 4096, migration: false, pgsize: None };
        assert_eq!(LegacyLimits::default(), defaults);
        assert_eq!(VersionData::default().legacy_limits(), defaults);
        assert_eq!(legacy(r#"{"max_msg_fds":8,"max_data_xfer_size":4,"pgsize":4096}"#), defaults);
        assert_eq!(legacy(r#"{"max_fds":0}"#), LegacyLimits { max_fds: 0, ..defaults });
        assert_eq!(legacy(r#"{"max_msg_size":65536}"#), LegacyLimits { max_msg_size: 65536, ..defaults });
        let can_migrate = LegacyLimits { migration: true, ..defaults };
        assert_eq!(legacy(r#"{"migration":{}}"#), can_migrate);
        assert_eq!(legacy(r#"{"migration":{"pgsize":4096}}"#), LegacyLimits { pgsize: Some(4096), ..can_migrate });
        for value in ["0", "-1", "1.5", "1e3", "18446744073709551616", "null", "true", "\"8\"", "[8]", "{}"] {
            let capabilities = format!("{{\"max_msg_size\":{value},\"migration\":{{\"pgsize\":{value}}}}}");
            assert_eq!(legacy(&capabilities), can_migrate, "{value}");
        }
        for value in ["0", "4096", "null", "true", "\"\"", "[{}]"] {
            assert_eq!(legacy(&format!("{{\"migration\":{value}}}")), defaults, "{value}");
        }
    }
}
