//! All else that parses.

use std::sync::{Arc, LazyLock};

use vfio_user_conformance::Profile;
use vfio_user_conformance::case::{Source, parse, print};
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Plan, check};
use vfio_user_conformance::target::DeviceFile;
use vfio_user_conformance::verdict::Expectations;
use vfio_user_wire::{VersionData, VersionDataError};

static REGISTER: LazyLock<Register> = LazyLock::new(|| Register::bundled().unwrap());

/// Four bytes of `cap_offset`, and a payload.
pub fn capabilities(data: &[u8]) {
    let Some((offset, payload)) = data.split_first_chunk::<4>() else { return };
    if let Ok(chain) = vfio_user_wire::capabilities(payload, u32::from_le_bytes(*offset)) {
        assert!(chain.len() <= payload.len() / 8);
        assert!(chain.iter().all(|capability| capability.offset < payload.len()));
    }
}

/// The JSON of VERSION. What was read is written so that it is read alike.
pub fn version_data(data: &[u8]) {
    let Ok(parsed) = VersionData::parse(data) else { return };
    parsed.limits();
    parsed.legacy_limits();
    // Its own number of digits may make text longer than what is read.
    match VersionData::parse(&parsed.bytes()) {
        Ok(again) => assert_eq!(again.members().len(), parsed.members().len()),
        Err(error) => assert!(!matches!(error, VersionDataError::NoNul | VersionDataError::NotUtf8(_)), "{error}"),
    }
}

/// A case file: what is read is printed so that it is read alike, and checking and planning it ends well.
pub fn case_language(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = |text: &str| Source { name: "fuzz.case".to_owned(), text: text.to_owned() };
    let here = source(text);
    let cases = match parse(&here) {
        Ok(cases) => cases,
        Err(diagnostics) => {
            diagnostics.iter().for_each(|diagnostic| drop(diagnostic.render(&here, false)));
            return;
        }
    };
    let printed = print(&cases);
    let again = source(&printed);
    let read = parse(&again).unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(|error| error.render(&again, false)).collect();
        panic!("what was printed cannot be read:\n{}", errors.join("\n"))
    });
    assert_eq!(read, cases, "{printed}");
    assert_eq!(print(&read), printed);
    let diagnostics = check(&cases, false, &REGISTER);
    diagnostics.iter().for_each(|diagnostic| drop(diagnostic.render(&here, false)));
    if diagnostics.is_empty() {
        let files = [(Arc::new(here), cases)];
        for profile in Profile::ALL {
            drop(Plan::new(&files, &[], profile, &REGISTER));
        }
    }
}

/// A device file.
pub fn device_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match DeviceFile::parse("fuzz.toml", text) {
        Ok(device) => {
            for range in device.scratch.iter().chain(&device.leave_alone) {
                assert!(range.end() > range.offset);
            }
        }
        Err(error) => drop(error.to_string()),
    }
}

/// Pinned expectations.
pub fn expectations(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Expectations::parse("fuzz.toml", text) {
        Ok(expectations) => expectations.entries.iter().for_each(|entry| {
            entry.covers("dma-map.twice");
        }),
        Err(error) => drop(error.to_string()),
    }
}
