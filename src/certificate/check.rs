//! Whether a bundle agrees with itself and with this program.

use std::collections::BTreeSet;
use std::path::Path;

use super::bundle::{self, BADGE, DEVICE, MANIFEST, MOST_MANIFEST, MOST_SMALL, PAGE, REPORT};
use super::manifest::{Digest, Manifest, SCHEMA};
use super::{Badge, sha256, sound};
use crate::Profile;
use crate::report::{Harness, Report, harmless, page};
use crate::requirement::Register;
use crate::run::Library;

/// A bundle that was looked at.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What it says.
    pub(crate) manifest: Manifest,
    /// SHA-256 of its manifest.
    pub(crate) sha256: String,
    /// Its report.
    pub(crate) report: Report,
    /// What of it could not be compared with this program, as sentences: another version judged.
    pub(crate) unchecked: Vec<String>,
}

/// Looks at all that a folder says. What is in it is read as a stranger's.
///
/// # Errors
/// What is wrong, each as a sentence that is harmless to a terminal.
pub(crate) fn check(folder: &Path, register: &Register, library: &Library) -> Result<Checked, Vec<String>> {
    let harmless_all = |wrong: Vec<String>| wrong.iter().map(|sentence| harmless(sentence)).collect::<Vec<_>>();
    let (manifest, digest) = manifest(folder).map_err(|wrong| harmless_all(vec![wrong]))?;
    let mut wrong = files(folder, &manifest);
    // A file that is not the one that was certified says nothing.
    if !wrong.is_empty() {
        return Err(harmless_all(wrong));
    }
    let report = report(folder).map_err(|wrong| harmless_all(vec![wrong]))?;
    wrong.extend(sound::with_itself(&manifest, &report));
    wrong.extend(badge(folder, &manifest).err());
    let (of_program, unchecked) = with_program(folder, &manifest, &report, register, library);
    wrong.extend(of_program);
    match wrong.is_empty() {
        true => Ok(Checked { manifest, sha256: digest, report, unchecked: harmless_all(unchecked) }),
        false => Err(harmless_all(wrong)),
    }
}

fn manifest(folder: &Path) -> Result<(Manifest, String), String> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let bytes = bundle::read(&folder.join(MANIFEST), MOST_MANIFEST).map_err(|error| {
        format!("could not read {}: {error}; is this the folder of a bundle?", folder.join(MANIFEST).display())
    })?;
    let wrong = |error: serde_json::Error| format!("{MANIFEST} is no manifest of `certify`: {error}");
    let head: Head = serde_json::from_slice(&bytes).map_err(wrong)?;
    if head.schema != SCHEMA {
        return Err(format!(
            "{MANIFEST} is of schema \"{}\", and this program reads schema \"{SCHEMA}\": use the version that wrote it",
            head.schema
        ));
    }
    let manifest = serde_json::from_slice(&bytes).map_err(wrong)?;
    Ok((manifest, sha256(&bytes)))
}

/// What is there and should not be, what should be and is not, and what is not as it was.
fn files(folder: &Path, manifest: &Manifest) -> Vec<String> {
    let mut wrong = Vec::new();
    let there = match bundle::files(folder, &mut wrong) {
        Ok(there) => there,
        Err(error) => return vec![format!("could not read {}: {error}", folder.display())],
    };
    let named: BTreeSet<&str> = manifest.files.keys().map(String::as_str).chain([MANIFEST]).collect();
    let foreign = there.iter().filter(|name| !named.contains(name.as_str()));
    wrong.extend(foreign.map(|name| format!("`{name}` is in the folder, and not in the manifest")));
    for name in [REPORT, PAGE, BADGE].into_iter().filter(|name| !named.contains(name)) {
        wrong.push(format!("the manifest does not name {name}"));
    }
    for (name, digest) in &manifest.files {
        match bundle::most(name) {
            None => wrong.push(format!("the manifest names `{name}`, and no bundle has a file of that name")),
            Some(_) if !there.contains(name) => {
                wrong.push(format!("`{name}` is in the manifest, and not in the folder"))
            }
            Some(most) => wrong.extend(changed(&folder.join(name), most, digest).map(|why| format!("`{name}` {why}"))),
        }
    }
    wrong
}

/// How a file is not the one of this digest. One that is too large for a file of its name is not read.
fn changed(path: &Path, most: u64, digest: &Digest) -> Option<String> {
    let unreadable = |error: std::io::Error| Some(format!("could not be read: {error}"));
    let file = match bundle::open(path).and_then(|file| Ok((file.metadata()?.len(), file))) {
        Ok((bytes, _)) if bytes > most => {
            return Some(format!("has {bytes} bytes, and no such file has more than {most}"));
        }
        Ok((bytes, _)) if bytes != digest.bytes => {
            return Some(format!("has {bytes} bytes, and {} by the manifest", digest.bytes));
        }
        Ok((_, file)) => file,
        Err(error) => return unreadable(error),
    };
    // No more is read than was there, should it grow.
    match bundle::digest(std::io::Read::take(file, most)) {
        Ok(found) if found == *digest => None,
        Ok(found) => {
            Some(format!("was changed: its SHA-256 is {}, and {} by the manifest", found.sha256, digest.sha256))
        }
        Err(error) => unreadable(error),
    }
}

fn report(folder: &Path) -> Result<Report, String> {
    let bytes = bundle::read(&folder.join(REPORT), crate::report::MOST)
        .map_err(|error| format!("could not read {REPORT}: {error}"))?;
    Report::parse(REPORT, &bytes).map_err(|error| error.to_string())
}

fn badge(folder: &Path, manifest: &Manifest) -> Result<(), String> {
    let bytes =
        bundle::read(&folder.join(BADGE), MOST_SMALL).map_err(|error| format!("could not read {BADGE}: {error}"))?;
    match serde_json::from_slice::<Badge>(&bytes) {
        Ok(badge) if badge == Badge::of(manifest) => Ok(()),
        Ok(_) => Err(format!("{BADGE} does not say what the manifest says")),
        Err(error) => Err(format!("{BADGE} is no badge of `certify`: {error}")),
    }
}

/// The device file, where the bundle has one.
fn device(folder: &Path, manifest: &Manifest) -> Result<Option<String>, String> {
    if !manifest.files.contains_key(DEVICE) {
        return Ok(None);
    }
    let bytes =
        bundle::read(&folder.join(DEVICE), MOST_SMALL).map_err(|error| format!("could not read {DEVICE}: {error}"))?;
    String::from_utf8(bytes).map(Some).map_err(|_| format!("{DEVICE} is no text"))
}

/// What this program says otherwise, and what it cannot say since another version judged.
fn with_program(
    folder: &Path,
    manifest: &Manifest,
    report: &Report,
    register: &Register,
    library: &Library,
) -> (Vec<String>, Vec<String>) {
    let theirs = &report.harness;
    let ours = Harness {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cases_sha256: library.sha256.clone(),
        register_sha256: register.sha256().to_owned(),
    };
    if (&theirs.name, &theirs.version) != (&ours.name, &ours.version) {
        let judged = format!("{} {} judged, and this is {} {}", theirs.name, theirs.version, ours.name, ours.version);
        let unchecked = format!(
            "{judged}: not checked is whether all cases of that version are there, what they say of each requirement, \
             and {PAGE}; that version can check it"
        );
        return (Vec::new(), vec![unchecked]);
    }
    let digests = [
        ("cases", &theirs.cases_sha256, &ours.cases_sha256),
        ("register of requirements", &theirs.register_sha256, &ours.register_sha256),
    ];
    let wrong: Vec<String> = (digests.into_iter())
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(what, theirs, ours)| {
            format!("it was judged by another {what} than {} has: {theirs}, not {ours}", ours_name())
        })
        .collect();
    if !wrong.is_empty() {
        return (wrong, Vec::new());
    }
    let profile = match manifest.profile.parse::<Profile>() {
        Ok(profile) => profile,
        Err(error) => return (vec![error.to_string()], Vec::new()),
    };
    let plan = match library.plan(profile, register) {
        Ok(plan) => plan.cases,
        Err(error) => return (vec![error], Vec::new()),
    };
    let mut wrong = sound::with_harness(&manifest.settings, report, &plan, profile, register);
    match device(folder, manifest) {
        Ok(text) => wrong.extend(sound::device(text.as_deref(), report)),
        Err(why) => wrong.push(why),
    }
    let due = sha256(page(report, register).as_bytes());
    if manifest.files.get(PAGE).is_some_and(|digest| digest.sha256 != due) {
        wrong.push(format!("{PAGE} is not the page of {REPORT}"));
    }
    (wrong, Vec::new())
}

fn ours_name() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
