//! The case files: the ones compiled in, or those of a folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

use super::Plan;
use crate::Profile;
use crate::case::{self, Case, Context, Diagnostic, Source, Spanned};
use crate::model::name_in;
use crate::procedure;
use crate::requirement::Register;

static BUNDLED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/cases");

/// A case file and the cases in it.
pub type File = (Arc<Source>, Vec<Case>);

/// All case files.
#[derive(Debug, Default)]
pub struct Library {
    /// The cases.
    pub cases: Vec<File>,
    /// One ordinary exchange per command, for `for every command`.
    pub samples: Vec<File>,
    /// SHA-256 of all files, names included, in hexadecimal.
    pub sha256: String,
}

/// Why case files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file or folder cannot be read.
    #[error("could not read {}: {error}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// Files are in error.
    #[error("{} in the case files", errors(.0.len()))]
    Cases(Vec<(Arc<Source>, Diagnostic)>),
}

fn errors(count: usize) -> String {
    if count == 1 { "1 error".to_owned() } else { format!("{count} errors") }
}

impl Library {
    /// The cases that say something of a server of this version.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn plan(&self, profile: Profile, register: &Register) -> Result<Plan, String> {
        Plan::new(&self.cases, &self.samples, profile, register)
    }

    /// The cases of all versions of the protocol, each version's in turn: one that is for several comes several times.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn plan_of_all(&self, register: &Register) -> Result<Plan, String> {
        let mut all = Plan::default();
        for profile in Profile::ALL {
            all.cases.extend(self.plan(profile, register)?.cases);
        }
        Ok(all)
    }

    /// The files that are compiled in.
    ///
    /// # Errors
    /// Where they are in error, which a test excludes.
    pub fn bundled(register: &Register) -> Result<Library, LibraryError> {
        Library::bundled_where(&|_| true, register)
    }

    /// Those of them whose text is wanted, and all samples.
    ///
    /// # Errors
    /// As [`Library::bundled`].
    pub(crate) fn bundled_where(wanted: &dyn Fn(&str) -> bool, register: &Register) -> Result<Library, LibraryError> {
        let mut texts = Vec::new();
        collect(&BUNDLED, &mut texts);
        texts.retain(|(name, text)| is_sample(name) || wanted(text));
        Library::from_texts(texts, register)
    }

    /// The files `*.case` below a folder; those below its `samples` are samples, and where it has none, the ones that
    /// are compiled in.
    ///
    /// # Errors
    /// Where files cannot be read or are in error.
    pub fn from_directory(directory: &Path, register: &Register) -> Result<Library, LibraryError> {
        let mut texts = Vec::new();
        read_below(directory, directory, &mut texts)?;
        if !texts.iter().any(|(name, _)| is_sample(name)) {
            let mut bundled = Vec::new();
            collect(&BUNDLED, &mut bundled);
            texts.extend(bundled.into_iter().filter(|(name, _)| is_sample(name)));
        }
        Library::from_texts(texts, register)
    }

    /// These files, with the samples that are compiled in.
    ///
    /// # Errors
    /// Where files cannot be read or are in error.
    pub fn from_files(paths: &[PathBuf], register: &Register) -> Result<Library, LibraryError> {
        let mut texts = Vec::new();
        collect(&BUNDLED, &mut texts);
        texts.retain(|(name, _)| is_sample(name));
        for path in paths {
            let text =
                std::fs::read_to_string(path).map_err(|error| LibraryError::Read { path: path.clone(), error })?;
            texts.push((path.display().to_string(), text));
        }
        Library::from_texts(texts, register)
    }

    /// Files by their names and texts.
    ///
    /// # Errors
    /// Where they are in error.
    pub fn from_texts(mut texts: Vec<(String, String)>, register: &Register) -> Result<Library, LibraryError> {
        texts.sort();
        let mut library = Library::default();
        let mut digest = Sha256::new();
        let mut diagnostics = Vec::new();
        for (name, text) in texts {
            digest.update(name.as_bytes());
            digest.update([0]);
            digest.update(text.as_bytes());
            digest.update([0]);
            let sample = is_sample(&name);
            let source = Arc::new(Source { name, text });
            match case::parse(&source) {
                Ok(cases) => {
                    let found = check(&cases, sample, register);
                    diagnostics.extend(found.into_iter().map(|diagnostic| (Arc::clone(&source), diagnostic)));
                    let files = if sample { &mut library.samples } else { &mut library.cases };
                    files.push((source, cases));
                }
                Err(found) => diagnostics.extend(found.into_iter().map(|diagnostic| (Arc::clone(&source), diagnostic))),
            }
        }
        let files: Vec<(&Source, &[Case])> =
            library.cases.iter().map(|(source, cases)| (&**source, cases.as_slice())).collect();
        let duplicates = case::duplicates(&files);
        diagnostics.extend(
            duplicates
                .into_iter()
                .filter_map(|(file, diagnostic)| Some((Arc::clone(&library.cases.get(file)?.0), diagnostic))),
        );
        if !diagnostics.is_empty() {
            return Err(LibraryError::Cases(diagnostics));
        }
        library.sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(library)
    }
}

/// What is wrong with cases, by the dialects of their profiles, the register and the procedures; samples need no check of
/// their own.
pub fn check(cases: &[Case], samples: bool, register: &Register) -> Vec<Diagnostic> {
    let mut diagnostics = check_as(Profile::V0_9_2, cases, samples, register);
    for case in cases {
        for (id, profile) in case.requirements().flat_map(|id| case.profiles.iter().map(move |profile| (id, profile))) {
            let lacks = |id: &str| register.get(id).is_some_and(|requirement| !requirement.is_of(profile.value));
            if lacks(id) && lacks(name_in(profile.value.dialect(), id)) {
                let message = format!("`{}` is no requirement of {}", **id, profile.value);
                diagnostics.push(Diagnostic::new(id.span, message, "the case is for that version"));
            }
        }
    }
    diagnostics
}

/// Whether a case says something of a server of this version: it names the version, or names none and has only what that
/// version has.
pub(super) fn is_for(profile: Profile, case: &Case, sample: bool, register: &Register) -> bool {
    if !case.profiles.is_empty() {
        return case.profiles.iter().any(|named| named.value == profile);
    }
    let is_of = |id: &Spanned<String>| register.get(id).is_some_and(|requirement| requirement.is_of(profile));
    profile == Profile::V0_9_2
        || case.requirements().all(is_of) && check_as(profile, std::slice::from_ref(case), sample, register).is_empty()
}

fn check_as(profile: Profile, cases: &[Case], samples: bool, register: &Register) -> Vec<Diagnostic> {
    let context = Context {
        dialect: profile.dialect(),
        requirement: &|id| register.get(id).map(|requirement| requirement.reviewed),
        similar_requirement: &|id| register.similar(id).first().map(|id| (*id).to_owned()),
        procedure: &|name| procedure::find(name).is_some(),
        similar_procedure: &|name| {
            case::similar(name, procedure::PROCEDURES.iter().map(|procedure| procedure.name)).map(str::to_owned)
        },
        samples,
    };
    case::check(cases, &context)
}

fn is_sample(name: &str) -> bool {
    name.starts_with("samples/")
}

fn collect(directory: &Dir<'_>, texts: &mut Vec<(String, String)>) {
    for file in directory.files().filter(|file| file.path().extension().is_some_and(|extension| extension == "case")) {
        if let Some(text) = file.contents_utf8() {
            texts.push((file.path().to_string_lossy().into_owned(), text.to_owned()));
        }
    }
    directory.dirs().for_each(|directory| collect(directory, texts));
}

fn read_below(root: &Path, directory: &Path, texts: &mut Vec<(String, String)>) -> Result<(), LibraryError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |error| LibraryError::Read { path, error }
    };
    for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        if path.is_dir() {
            read_below(root, &path, texts)?;
        } else if path.extension().is_some_and(|extension| extension == "case") {
            let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            texts.push((name, text));
        }
    }
    Ok(())
}
