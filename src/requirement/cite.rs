//! Where a requirement stands.

use serde::{Deserialize, Serialize};

/// A place in one of the texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cite {
    /// The section's title.
    pub section: String,
    /// Lines of the text: `397-399, 433`.
    pub lines: String,
    /// Which text, where it is not version 0.9.2: `L`, `V8`, `seed 003`, `vfio.h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The texts by the codes of the register: the code, a name short enough for a line, and where to find it.
const DOCUMENTS: &[(&str, &str, &str)] = &[
    ("L", "0.9.1", "vfio-user 0.9.1, docs/vfio-user.rst of libvfio-user before commit 190f85b"),
    ("L9", "0.9.1 of June 2021", "vfio-user 0.9.1, docs/vfio-user.rst of libvfio-user at commit 9ed0776"),
    ("V8", "v8", "vfio-user v8, docs/vfio-user.rst of libvfio-user at commit 595dff9"),
    ("V8c", "v8 with 0.9.1 numbers", "vfio-user v8, docs/vfio-user.rst of libvfio-user before commit cda5e5f"),
    ("seed 000", "libvfio-user 9ed0776", "libvfio-user commit 9ed0776, on DIRTY_PAGES"),
    (
        "seed 001",
        "DMA review of 2021",
        "the review of DMA_MAP and DMA_UNMAP by Alex Williamson and John Levon, May 2021",
    ),
    ("seed 002", "unmap thread of 2019", "the kernel discussion on unmapping with a dirty bitmap, November 2019"),
    ("seed 003", "VFIO migration v1", "the v1 migration region of the kernel's VFIO patches, January 2020"),
    ("seed 004", "QEMU DMA logging series", "QEMU's device dirty page tracking series"),
    ("vfio.h", "vfio.h", "the kernel's include/uapi/linux/vfio.h"),
    ("kernel", "Linux", "the kernel's documentation and source"),
    ("libvfio-user", "libvfio-user", "the source of libvfio-user"),
    ("PCI", "PCI", "the PCI specifications"),
    ("traces", "recorded sessions", "recorded sessions of real clients"),
];

impl Cite {
    /// The document, in full.
    pub fn document(&self) -> &str {
        match &self.text {
            None => "vfio-user 0.9.2, docs/vfio-user.rst of libvfio-user before commit d7cb436",
            Some(code) => {
                DOCUMENTS.iter().find(|document| document.0 == code).map_or(code.as_str(), |document| document.2)
            }
        }
    }

    /// The document, as short as it can be told.
    pub fn document_name(&self) -> &str {
        match &self.text {
            None => "0.9.2",
            Some(code) => {
                DOCUMENTS.iter().find(|document| document.0 == code).map_or(code.as_str(), |document| document.1)
            }
        }
    }

    /// Document, section and lines: `vfio-user 0.9.2, Header, lines 397-399`.
    pub fn place(&self) -> String {
        let name = self.document_name();
        let name = if name.starts_with(|first: char| first.is_ascii_digit()) || name.starts_with("v8") {
            format!("vfio-user {name}")
        } else {
            name.to_owned()
        };
        let mut place = name;
        if !self.section.is_empty() {
            place = format!("{place}, {}", self.section);
        }
        if self.lines.is_empty() {
            return place;
        }
        // Some documents are cited by something else than lines.
        let word = match self.lines.chars().all(|c| c.is_ascii_digit()) {
            true => "line ",
            false if self.lines.starts_with(|first: char| first.is_ascii_digit()) => "lines ",
            false => "",
        };
        format!("{place}, {word}{}", self.lines)
    }
}

impl std::fmt::Display for Cite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.section)?;
        if !self.lines.is_empty() {
            write!(f, " {}", self.lines)?;
        }
        match self.text {
            None => Ok(()),
            Some(_) => write!(f, " ({})", self.document_name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cite(section: &str, lines: &str, text: Option<&str>) -> Cite {
        Cite { section: section.to_owned(), lines: lines.to_owned(), text: text.map(str::to_owned) }
    }

    #[test]
    fn a_place_names_document_section_and_lines() {
        assert_eq!(cite("Header", "397-399", None).place(), "vfio-user 0.9.2, Header, lines 397-399");
        assert_eq!(cite("Header", "433", Some("L")).place(), "vfio-user 0.9.1, Header, line 433");
        assert_eq!(cite("VFIO_IRQ", "", Some("vfio.h")).place(), "vfio.h, VFIO_IRQ");
        assert_eq!(cite("Capabilities", "chapter 6", Some("PCI")).place(), "PCI, Capabilities, chapter 6");
    }

    #[test]
    fn a_clause_names_the_document_only_where_it_is_not_the_current_one() {
        assert_eq!(cite("Header", "397-399", None).to_string(), "Header 397-399");
        assert_eq!(cite("Header", "433", Some("L")).to_string(), "Header 433 (0.9.1)");
        assert_eq!(cite("Header", "433", Some("unheard of")).to_string(), "Header 433 (unheard of)");
    }
}
