//! The dissector, made from the tables of fields.

use std::fmt::Write;

use vfio_user_wire::{Bit, Body, Field, Header, Layout, Message, Tail};

use crate::Profile;
use crate::case::errno_name;

/// What is not made from tables.
const TEXT: &str = include_str!("dissector.lua");

/// No errno is larger.
const LARGEST_ERRNO: u32 = 4095;

/// A Lua plugin for Wireshark and tshark that reads what [`Pcapng`](super::Pcapng) writes: every message of every
/// version, field by field.
pub fn dissector() -> String {
    TEXT.replace("@VERSION@", env!("CARGO_PKG_VERSION")).replace("@TABLES@\n", &tables())
}

fn tables() -> String {
    let mut layouts = Layouts::default();
    let header = layouts.number(&Header::LAYOUT, "header");
    let mut dialects = String::new();
    let mut profiles = String::new();
    for (number, profile) in Profile::ALL.into_iter().enumerate() {
        let _ = writeln!(profiles, "    [{number}] = {},", quoted(profile.name()));
        let _ = writeln!(dialects, "    [{number}] = {{");
        for (number, message) in profile.dialect().commands {
            let _ = writeln!(dialects, "        [{number}] = {},", layouts.message(message));
        }
        dialects.push_str("    },\n");
    }
    let errnos = (1..=LARGEST_ERRNO).filter_map(|number| errno_name(number).map(|name| (number, name)));
    let errnos: String = std::iter::once((0, "none"))
        .chain(errnos)
        .map(|(number, name)| format!("    [{number}] = {},\n", quoted(name)))
        .collect();
    let little = cfg!(target_endian = "little");
    let layouts: String =
        layouts.known.iter().enumerate().map(|(at, (layout, name))| structure(at + 1, layout, name)).collect();
    format!(
        "local little = {little}\nlocal profiles = {{\n{profiles}}}\nlocal errnos = {{\n{errnos}}}\nlocal header = {header}\n\
         local layouts = {{\n{layouts}}}\nlocal dialects = {{\n{dialects}}}\n"
    )
}

/// The structures, each once, by a number from 1.
#[derive(Debug, Default)]
struct Layouts {
    known: Vec<(&'static Layout, String)>,
}

impl Layouts {
    fn number(&mut self, layout: &'static Layout, name: &str) -> usize {
        if let Some(at) = self.known.iter().position(|(known, of)| *known == layout && of == name) {
            return at + 1;
        }
        self.known.push((layout, name.to_owned()));
        self.known.len()
    }

    fn message(&mut self, message: &'static Message) -> String {
        let name = message.name.to_lowercase();
        let (request, reply) = (self.body(&message.request, &name), self.body(&message.reply, &name));
        let mut text = format!("{{ name = {}, request = {request}, reply = {reply}", quoted(message.name));
        // What chooses a variant are the flags of the request, which each has at the same place.
        let flags = message.request.fixed.and_then(|layout| layout.field("flags"));
        if let Some(flags) = flags.filter(|_| !message.variants.is_empty()) {
            let variants: String = message
                .variants
                .iter()
                .map(|variant| {
                    let (request, reply) = (self.body(&variant.request, &name), self.body(&variant.reply, &name));
                    let mask = variant.mask & flags.max();
                    let flags = variant.flags;
                    format!(" {{ mask = {mask:#x}, flags = {flags:#x}, request = {request}, reply = {reply} }},")
                })
                .collect();
            let _ = write!(text, ", flags = {}, variants = {{{variants} }}", flags.offset);
        }
        text + " }"
    }

    fn body(&mut self, body: &Body, name: &str) -> String {
        let layout = body.fixed.map(|layout| format!("layout = {}", self.number(layout, name)));
        let json = (body.tail == Tail::Json).then(|| "json = true".to_owned());
        let parts: Vec<String> = layout.into_iter().chain(json).collect();
        if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
    }
}

fn structure(number: usize, layout: &Layout, name: &str) -> String {
    let mut text = format!("    [{number}] = {{ name = {}, size = {}, fields = {{\n", quoted(name), layout.size);
    for field in layout.fields {
        let Field { name, offset, width, meaning, .. } = field;
        let _ = writeln!(
            text,
            "        {{ name = {}, offset = {offset}, width = {width}, meaning = {}, bits = {{{} }} }},",
            quoted(name),
            quoted(meaning),
            bits(field)
        );
    }
    text + "    } },\n"
}

/// Bits of their own, and values of several bits by their names.
fn bits(field: &Field) -> String {
    let mut text = String::new();
    let mut masks: Vec<u64> = Vec::new();
    for bit in field.bits.iter().filter(|bit| bit.is_single()) {
        if bit.mask.count_ones() == 1 && bit.mask == bit.value {
            let _ = write!(text, " {{ name = {}, mask = {:#x} }},", quoted(bit.name), bit.mask);
        } else if !masks.contains(&bit.mask) {
            masks.push(bit.mask);
            let of_mask = |other: &&Bit| other.mask == bit.mask;
            let values: String = field
                .bits
                .iter()
                .filter(of_mask)
                .map(|other| format!(" [{}] = {},", other.value >> bit.mask.trailing_zeros(), quoted(other.name)))
                .collect();
            let name = format!("bits_{:x}", bit.mask);
            let _ = write!(text, " {{ name = {}, mask = {:#x}, values = {{{values} }} }},", quoted(&name), bit.mask);
        }
    }
    text
}

/// A string of Lua.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_string_of_lua() {
        assert_eq!(quoted("a \"b\" \\ c\nd"), r#""a \"b\" \\ c\nd""#);
    }

    #[test]
    fn nothing_of_the_frame_is_left_unfilled() {
        let text = dissector();
        assert!(!text.contains('@'), "{}", text.lines().find(|line| line.contains('@')).unwrap_or_default());
        for profile in Profile::ALL {
            for (number, message) in profile.dialect().commands {
                assert!(text.contains(&format!("[{number}] = {{ name = \"{}\"", message.name)), "{}", message.name);
            }
        }
    }

    #[test]
    fn values_of_several_bits_are_told_from_flags() {
        let bit = |name, mask, value| Bit { name, mask, value };
        let field = Field { name: "flags", offset: 4, width: 4, meaning: "", bits: &[] };
        assert_eq!(bits(&field), "");
        let named = Box::leak(Box::new([bit("red", 0xf0, 0x10), bit("blue", 0xf0, 0x30), bit("loud", 1, 1)]));
        assert_eq!(
            bits(&Field { bits: named, ..field }),
            r#" { name = "bits_f0", mask = 0xf0, values = { [1] = "red", [3] = "blue", } }, { name = "loud", mask = 0x1 },"#
        );
    }
}
