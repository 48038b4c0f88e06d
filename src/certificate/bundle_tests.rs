//! Which names are opened, what is written, and what is no file of a bundle.

use std::os::unix::fs::symlink;

use super::*;
use crate::certificate::sample;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn only_names_of_a_bundle_are_opened() {
    for name in ["report.json", "report.html", "badge.json", "device.toml", "generated/generated.dmap-05-2.case"] {
        assert!(most(name).is_some(), "{name}");
    }
    let others = [
        "",
        "manifest.json",
        "./report.json",
        "../report.json",
        "/etc/passwd",
        "generated",
        "generated/",
        "generated/.case",
        "generated/..case",
        "generated/../x.case",
        "generated/a/b.case",
        "generated//etc/x.case",
        "generated/x.case\0",
        "generated/\u{1b}[2J.case",
        "other/x.case",
        "report.json/",
    ];
    for name in others {
        assert_eq!(most(name), None, "{name:?}");
    }
}

#[test]
fn the_manifest_names_all_that_is_written_and_its_own_digest_is_told() {
    let folder = folder();
    let bundle = Bundle::prepare(&folder.path().join("new/bundle")).unwrap();
    std::fs::create_dir(bundle.generated()).unwrap();
    std::fs::write(bundle.generated().join("generated.hdr-02.case"), "abc").unwrap();
    let register = crate::report::sample::register();
    let written = bundle.write(&sample::report(), sample::manifest(), Some("abc"), &register).unwrap();
    let names: Vec<&String> = written.manifest.files.keys().collect();
    assert_eq!(names, ["badge.json", "device.toml", "generated/generated.hdr-02.case", "report.html", "report.json"]);
    // The example of FIPS 180.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for name in ["device.toml", "generated/generated.hdr-02.case"] {
        assert_eq!(written.manifest.files.get(name).unwrap(), &Digest { bytes: 3, sha256: abc.to_owned() });
    }
    let manifest = std::fs::read(folder.path().join("new/bundle/manifest.json")).unwrap();
    assert_eq!(written.sha256, sha256(&manifest));
    assert_eq!(serde_json::from_slice::<Manifest>(&manifest).unwrap(), written.manifest);
}

#[test]
fn an_earlier_bundle_is_taken_away_and_nothing_else_is() {
    let folder = folder();
    let path = folder.path();
    std::fs::create_dir(path.join("generated")).unwrap();
    for name in ["report.json", "generated/a.case"] {
        std::fs::write(path.join(name), "").unwrap();
    }
    // What has no manifest is somebody's own.
    let (sentence, _) = Bundle::prepare(path).unwrap_err();
    assert!(sentence.contains("there is no manifest.json of `certify`"), "{sentence}");
    std::fs::write(path.join("manifest.json"), r#"{"schema": "0", "verdict": {}, "files": {}}"#).unwrap();
    Bundle::prepare(path).unwrap();
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
    std::fs::write(path.join("manifest.json"), "").unwrap();
    std::fs::write(path.join("thesis.tex"), "").unwrap();
    let (sentence, _) = Bundle::prepare(path).unwrap_err();
    assert!(sentence.ends_with("than a bundle (thesis.tex): name a folder that is empty or new"), "{sentence}");
    assert!(path.join("manifest.json").exists());
    std::fs::remove_file(path.join("thesis.tex")).unwrap();
    symlink("manifest.json", path.join("report.json")).unwrap();
    assert!(Bundle::prepare(path).unwrap_err().0.contains("`report.json` is a symbolic link"));
    let (sentence, error) = Bundle::prepare(&path.join("manifest.json")).unwrap_err();
    assert!(sentence.contains("could not read") && error.is_some(), "{sentence}");
}

#[test]
fn links_pipes_and_folders_are_problems_and_are_not_opened() {
    let folder = folder();
    let path = folder.path();
    symlink("/etc/passwd", path.join("report.json")).unwrap();
    nix::unistd::mkfifo(&path.join("badge.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::create_dir_all(path.join("generated/more")).unwrap();
    std::fs::create_dir(path.join("other\u{1b}")).unwrap();
    let mut problems = Vec::new();
    assert!(files(path, &mut problems).unwrap().is_empty());
    problems.sort();
    let end = "and a bundle has regular files alone";
    assert_eq!(
        problems,
        [
            format!("`badge.json` is no regular file, {end}"),
            format!("`generated/more` is no regular file, {end}"),
            format!("`other\\u{{1b}}` is no regular file, {end}"),
            format!("`report.json` is a symbolic link, {end}"),
        ]
    );
    assert_eq!(open(&path.join("report.json")).unwrap_err().raw_os_error(), Some(nix::libc::ELOOP));
    assert_eq!(open(&path.join("badge.json")).unwrap_err().to_string(), "it is no regular file");
}

#[test]
fn no_more_is_read_than_there_may_be() {
    let folder = folder();
    let path = folder.path().join("huge");
    std::fs::write(&path, "abcd").unwrap();
    assert_eq!(read(&path, 4).unwrap(), b"abcd");
    assert_eq!(read(&path, 3).unwrap_err().to_string(), "it has more than 3 bytes");
}
