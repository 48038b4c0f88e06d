//! Drafts of device files: as they stand, and filled in.

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::Profile;
use crate::generate::Offer;
use crate::run::PaperTarget;
use crate::target::{DeviceFile, Range};

const CONFORMANCE: &str = include_str!("../../fixtures/devices/conformance.toml");

/// What goes in the place of each word in capitals, table by table: the numbers of fixtures/devices/conformance.toml.
const FILLED: &[(&str, &[(&str, &str)])] = &[
    ("", &[("SUMMARY", "the device of the bundled reference server")]),
    ("[[scratch]]", &[("OFFSET", "0x1000"), ("LENGTH", "0x80")]),
    ("[[leave-alone]]", &[("REGION", "0"), ("OFFSET", "0"), ("LENGTH", "0x10")]),
    (
        "[dma-write]",
        &[
            ("MAX_LENGTH", "0x200000"),
            ("IOVA_REGISTER", "0x10"),
            ("LENGTH_REGISTER", "0x18"),
            ("PATTERN_REGISTER", "0x1c"),
            ("WRITE_COMMAND", "1"),
            ("COMMAND_REGISTER", "0x20"),
            ("STATUS_REGISTER", "0x24"),
            ("DONE", "1"),
            ("FAILED", "2"),
        ],
    ),
    (
        "[dma-read]",
        &[
            ("MAX_LENGTH", "0x4000"),
            ("IOVA_REGISTER", "0x10"),
            ("LENGTH_REGISTER", "0x18"),
            ("READ_COMMAND", "2"),
            ("COMMAND_REGISTER", "0x20"),
            ("RESULT", "0x4000"),
            ("STATUS_REGISTER", "0x24"),
            ("DONE", "1"),
            ("FAILED", "2"),
        ],
    ),
    (
        "[raise-irq]",
        &[("INDEX_REGISTER", "0x28"), ("VECTOR_REGISTER", "0x2c"), ("RAISE_COMMAND", "1"), ("RAISE_REGISTER", "0x30")],
    ),
    ("[counter]", &[("COUNTER", "4"), ("RAISE", "8"), ("VALUE", "1"), ("DOORBELL", "8")]),
    ("[mirror]", &[("MIRROR", "0x38"), ("SHOWN", "0x1000")]),
];

fn paper(profile: Profile) -> Discovered {
    PaperTarget::bundled(profile).unwrap().discovered
}

/// A file that says nothing but the name.
fn bare(name: &str) -> DeviceFile {
    DeviceFile::parse("bare.toml", &format!("name = {}", toml::Value::String(name.to_owned()))).unwrap()
}

/// The lines that begin with # and no blank, without the #, and the words in capitals filled in: all but `left`, the n-th of them.
fn filled(draft: &str, left: Option<usize>) -> (String, usize) {
    let (mut table, mut text, mut words) = ("", String::new(), 0);
    for line in draft.lines() {
        let Some(line) = line
            .strip_prefix('#')
            .filter(|line| !line.is_empty() && (!line.starts_with(' ') || line.starts_with("  {")))
        else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        if let Some((known, _)) = FILLED.iter().find(|(known, _)| !known.is_empty() && line.starts_with(known)) {
            table = known;
        }
        let (_, numbers) = FILLED.iter().find(|(known, _)| *known == table).unwrap();
        // Comments behind a line are prose.
        let line = line.split("  #").next().unwrap();
        let mut out = String::new();
        for part in line.split_inclusive(|c: char| !c.is_ascii_uppercase() && c != '_') {
            let end = part.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(part.len());
            let (word, rest) = part.split_at(end);
            match numbers.iter().find(|(known, _)| *known == word) {
                Some((_, number)) if left != Some(words) => {
                    words += 1;
                    out.push_str(number);
                }
                Some(_) => {
                    words += 1;
                    out.push_str(word);
                }
                None => out.push_str(word),
            }
            out.push_str(rest);
        }
        text.push_str(&out);
        text.push('\n');
    }
    (text, words)
}

#[test]
fn a_draft_parses_as_it_stands_and_says_nothing_but_a_name() {
    let nothing = Discovered::default();
    for found in Profile::ALL.map(paper).iter().chain([&nothing]) {
        let draft = template("gpio --socket-path {socket}", found);
        let file = DeviceFile::parse("draft.toml", &draft).unwrap_or_else(|error| panic!("{error}\n{draft}"));
        assert_eq!(file, bare("gpio --socket-path {socket}"));
        assert!(!file.lets_write());
    }
}

#[test]
fn a_draft_changes_nothing_of_what_is_generated() {
    for profile in Profile::ALL {
        let found = paper(profile);
        let draft = DeviceFile::parse("draft.toml", &template("x", &found)).unwrap();
        assert_eq!(Offer::new(&found, Some(&draft)), Offer::new(&found, None));
    }
}

#[test]
fn whatever_names_something_to_be_written_lets_write() {
    let table = |text: &str| DeviceFile::parse("x.toml", &format!("name = \"x\"\n{text}")).unwrap().lets_write();
    let register = "{ region = 0, offset = 0, width = 8 }";
    let steps = "steps = [{ write = 1, region = 0, offset = 0, width = 1 }]";
    assert!(table("[[scratch]]\nregion = 0\noffset = 0\nlength = 1"));
    assert!(table(&format!("[dma-write]\nmax-length = 1\n{steps}")));
    assert!(table(&format!("[dma-read]\nmax-length = 1\n{steps}")));
    assert!(table(&format!("[raise-irq]\n{steps}")));
    assert!(table(&format!(
        "[counter]\nregister = {register}\nraise = {{ region = 0, offset = 8, width = 1, value = 1 }}"
    )));
    assert!(table(&format!("[mirror]\nregister = {register}\nshows = {{ region = 1, offset = 0 }}")));
    assert!(!table("pfn-query = true\n[[leave-alone]]\nregion = 0\noffset = 0\nlength = 1\n[descriptor]\nsize = 8"));
}

#[test]
fn a_draft_that_is_filled_in_describes_the_device() {
    let expected = DeviceFile::parse("conformance.toml", CONFORMANCE).unwrap();
    for profile in Profile::ALL {
        let found = paper(profile);
        let (text, _) = filled(&template("conformance device", &found), None);
        let file = DeviceFile::parse("draft.toml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let doorbell = |counter: &crate::target::Counter| counter.doorbell.filter(|_| !found.io_fds.is_empty());
        let of_version = DeviceFile {
            scratch: [0, 1, 2].map(|region| Range { region, offset: 0x1000, length: 0x80 }).to_vec(),
            leave_alone: vec![Range { region: 0, offset: 0, length: 0x10 }],
            pfn_query: profile != Profile::V0_9_2,
            counter: expected.counter.map(|counter| crate::target::Counter { doorbell: doorbell(&counter), ..counter }),
            ..expected.clone()
        };
        assert_eq!(file, of_version, "{profile}");
    }
}

#[test]
fn a_word_that_was_left_is_an_error() {
    let draft = template("x", &paper(Profile::V0_9_2));
    let (_, words) = filled(&draft, None);
    assert!(words > 30, "{words}");
    // The first is the sentence, in quotes.
    for left in 1..words {
        let (text, _) = filled(&draft, Some(left));
        assert!(DeviceFile::parse("draft.toml", &text).is_err(), "{left}\n{text}");
    }
}

#[test]
fn a_device_without_registers_has_nothing_to_fill_in() {
    let draft = template("x", &Discovered::default());
    assert!(draft.contains("nothing more to fill in"), "{draft}");
    assert!(!draft.contains("#["), "{draft}");
}

proptest! {
    #[test]
    fn a_draft_parses_whatever_the_server_is_and_says(
        target in any::<String>(),
        regions in proptest::collection::vec((any::<u32>(), any::<u64>(), any::<u32>(), proptest::option::of(
            proptest::collection::vec((any::<u64>(), any::<u64>()), 0..3))), 0..4),
    ) {
        let regions = regions.into_iter().map(|(index, size, flags, sparse)| Region {
            index, size, flags, sparse, ..Region::default()
        });
        let mut found = Discovered { regions: regions.collect(), ..Discovered::default() };
        for need in ["dma", "migration-region"] {
            found.yes(need, &[]);
        }
        let draft = template(&target, &found);
        let file = DeviceFile::parse("draft.toml", &draft);
        prop_assert!(file.as_ref().is_ok_and(|file| !file.lets_write()), "{file:?}\n{draft}");
    }
}
