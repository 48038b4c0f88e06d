//! A golden file, and how our bytes are held against it.

use std::path::PathBuf;

use pretty_assertions::assert_eq;
use vfio_user_wire::{Body, Dialect, Frame, HEADER_SIZE, Header, Layout, Message, V0_9_2};

/// A field of a golden file.
pub(crate) struct Part {
    offset: usize,
    name: String,
    bytes: Vec<u8>,
}

/// A golden file.
pub(crate) struct Golden {
    file: String,
    parts: Vec<Part>,
}

pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden")
}

impl Golden {
    pub(crate) fn load(file: &str) -> Golden {
        let text = std::fs::read_to_string(directory().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        Golden::parse(file, &text)
    }

    pub(crate) fn parse(file: &str, text: &str) -> Golden {
        let mut parts: Vec<Part> = Vec::new();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                // Comments that do not start with an offset are for people.
                let Some((offset, rest)) = comment.split_once(' ') else { continue };
                let Ok(offset) = offset.parse::<usize>() else { continue };
                let end = parts.iter().map(|part| part.bytes.len()).sum::<usize>();
                assert_eq!(offset, end, "{file}: {line}: the bytes before it end at {end}");
                let name = rest.split(':').next().unwrap_or_default().to_owned();
                parts.push(Part { offset, name, bytes: Vec::new() });
            } else {
                let part = parts.last_mut().unwrap_or_else(|| panic!("{file}: bytes before the first field"));
                for byte in line.split_ascii_whitespace() {
                    assert_eq!(byte.len(), 2, "{file}: {line}");
                    part.bytes.push(u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("{file}: {line}")));
                }
            }
        }
        Golden { file: file.to_owned(), parts }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|part| part.bytes.clone()).collect()
    }

    /// Every field of `layout`, which starts at `start`, stands in the file under its name, at its offset and with
    /// its width, and the table reads its value.
    pub(crate) fn has_the_fields_of(&self, layout: &Layout, start: usize, prefix: &str) {
        for field in layout.fields {
            // `type` is a keyword of Rust; our tables say `kind`.
            let name = format!("{prefix}{}", if field.name == "kind" { "type" } else { field.name });
            let part = self.part(&name);
            assert_eq!(field.read(&self.bytes()[start..]), Some(self.value(&name)), "{}: {name}", self.file);
            assert_eq!(part.offset, start + field.offset, "{}: {name}", self.file);
            assert_eq!(part.bytes.len(), field.width, "{}: {name}", self.file);
        }
        let end = start + layout.size;
        let inside = self.parts.iter().filter(|part| (start..end).contains(&part.offset)).count();
        assert_eq!(inside, layout.fields.len(), "{}: fields between {start} and {end}", self.file);
    }

    fn part(&self, name: &str) -> &Part {
        let mut named = self.parts.iter().filter(|part| part.name == name);
        let part = named.next().unwrap_or_else(|| panic!("{}: no field {name}", self.file));
        assert!(named.next().is_none(), "{}: two fields {name}", self.file);
        part
    }

    /// The value by the bytes in the file, without any of our code.
    pub(crate) fn value(&self, name: &str) -> u64 {
        self.part(name).bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// The frame gives the file's bytes; the file's bytes give the frame, and by `body`'s table its fields and `tail`.
    pub(crate) fn is(&self, frame: &Frame, body: &Body, tail: &[u8]) {
        let bytes = self.bytes();
        assert_eq!(frame.bytes(), bytes, "{}: our bytes, the golden ones", self.file);
        assert_eq!(Frame::split(&bytes, bytes.len()), Ok(Some((frame.clone(), bytes.len()))), "{}", self.file);

        let (header, payload) = Header::parse(&bytes).unwrap();
        assert_eq!(header, frame.header, "{}", self.file);
        assert_eq!(payload, frame.payload, "{}", self.file);
        assert_eq!(self.value("header.size"), bytes.len() as u64, "{}", self.file);
        self.has_the_fields_of(&Header::LAYOUT, 0, "header.");
        for field in Header::LAYOUT.fields {
            let expected = self.value(&format!("header.{}", field.name));
            assert_eq!(field.read(&bytes), Some(expected), "{}: header.{}", self.file, field.name);
        }

        let decoded = body.decode(payload);
        assert!(!decoded.short, "{}", self.file);
        assert_eq!(decoded.tail, tail, "{}: what follows the fixed part", self.file);
        let Some(layout) = body.fixed else {
            assert!(decoded.fields.is_empty(), "{}", self.file);
            return;
        };
        self.has_the_fields_of(layout, HEADER_SIZE, "");
        assert_eq!(decoded.fields.len(), layout.fields.len(), "{}", self.file);
        for field in layout.fields {
            assert_eq!(decoded.get(field.name), Some(self.value(field.name)), "{}: {}", self.file, field.name);
        }
        // And the table writes what it reads.
        let mut written = vec![0; layout.size];
        for field in &decoded.fields {
            field.field.write(&mut written, field.value);
        }
        assert_eq!(written, &payload[..layout.size], "{}", self.file);
    }
}

/// A command from the hand-written id, the number that 0.9.2 gives the message, and the payload.
pub(crate) fn command(id: [u8; 2], message: &Message, payload: &[u8]) -> Frame {
    command_in(&V0_9_2, id, message, payload)
}

/// The same with the number that `dialect` gives the message.
pub(crate) fn command_in(dialect: &Dialect, id: [u8; 2], message: &Message, payload: &[u8]) -> Frame {
    let (number, known) = dialect.command(message.name).unwrap();
    assert_eq!(known, message);
    Frame::command(u16::from_le_bytes(id), number, payload.to_vec())
}

pub(crate) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
