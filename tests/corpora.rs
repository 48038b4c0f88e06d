//! What fuzzing has found worth keeping (`fuzz/corpus`), put to the functions of the fuzz targets once more.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test, helpers included")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Puts each input of a target's corpus to it; there are at least so many.
fn replay(target: &str, least: usize, put: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        // Where one of them panics, this is the last line.
        eprintln!("{}", path.display());
        put(&std::fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count >= least, "{count} inputs in {}", folder.display());
}

#[test]
fn wire() {
    replay("wire", 20, targets::wire);
}

#[test]
fn capabilities() {
    replay("capabilities", 5, targets::capabilities);
}

#[test]
fn version_data() {
    replay("version_data", 20, targets::version_data);
}

#[test]
fn case_language() {
    replay("case_language", 20, targets::case_language);
}

#[test]
fn device_file() {
    replay("device_file", 20, targets::device_file);
}

#[test]
fn expectations() {
    replay("expectations", 20, targets::expectations);
}

#[test]
fn report() {
    replay("report", 5, targets::report);
}

#[test]
fn answers() {
    replay("answers", 20, targets::answers);
}

#[test]
fn reference_server() {
    replay("reference_server", 20, targets::reference_server);
}
