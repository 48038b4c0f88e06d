//! `--report FORMAT=FILE`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use super::Failure;
use crate::report::{self, Context, Github, Html, Json, Junit, Markdown, Pcapng, Reporter};

/// The reports into files.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Reports {
    /// Write a report: html=FILE, json=FILE, junit=FILE; markdown=FILE, a summary for a CI job or a comment; github=FILE, at most
    /// ten annotations for GitHub Actions, which reads them from /dev/stdout; or pcapng=FILE with the messages of the cases in
    /// which something was found.
    // Subcommands have files of their own.
    #[arg(long = "report", id = "report", value_name = "FORMAT=FILE")]
    files: Vec<ReportFile>,
    /// Write the messages of every case into this capture, for Wireshark (see the command `dissector`).
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// The formats, as a sentence names them.
const FORMATS: &str = "github, html, json, junit, markdown or pcapng";

#[derive(Debug, Clone)]
enum ReportFile {
    Github(PathBuf),
    Html(PathBuf),
    Json(PathBuf),
    Junit(PathBuf),
    Markdown(PathBuf),
    Pcapng(PathBuf),
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<ReportFile, String> {
        match text.split_once('=') {
            Some((_, "")) | None => Err(format!("FORMAT=FILE, with {FORMATS} as FORMAT")),
            Some(("github", path)) => Ok(ReportFile::Github(path.into())),
            Some(("html", path)) => Ok(ReportFile::Html(path.into())),
            Some(("json", path)) => Ok(ReportFile::Json(path.into())),
            Some(("junit", path)) => Ok(ReportFile::Junit(path.into())),
            Some(("markdown", path)) => Ok(ReportFile::Markdown(path.into())),
            Some(("pcapng", path)) => Ok(ReportFile::Pcapng(path.into())),
            Some((other, _)) => Err(format!("`{other}` is no report: {FORMATS}")),
        }
    }
}

impl ReportFile {
    fn path(&self) -> &Path {
        match self {
            ReportFile::Github(path)
            | ReportFile::Html(path)
            | ReportFile::Json(path)
            | ReportFile::Junit(path)
            | ReportFile::Markdown(path)
            | ReportFile::Pcapng(path) => path,
        }
    }

    fn reporter<'a>(&self, context: Context<'a>) -> Box<dyn Reporter + 'a> {
        match self {
            ReportFile::Github(path) => Box::new(Github::new(path, context)),
            ReportFile::Html(path) => Box::new(Html::new(path, context)),
            ReportFile::Json(path) => Box::new(Json::new(path, context)),
            ReportFile::Junit(path) => Box::new(Junit::new(path, context)),
            ReportFile::Markdown(path) => Box::new(Markdown::new(path, context)),
            ReportFile::Pcapng(path) => Box::new(Pcapng::of_findings(path, context)),
        }
    }
}

impl Reports {
    /// Takes away what stands there: whatever becomes of this run, nobody is to read an earlier one's report as this one's. That
    /// one cannot be written is found out now, and not when the run is over. `draft` is written besides.
    pub(super) fn make_way(&self, draft: Option<&Path>) -> Result<(), Failure> {
        let mut files = BTreeSet::new();
        let mut written = self.paths().chain(draft);
        if let Some(twice) = written.find(|path| report::is_replaced(path) && !files.insert(whole(path))) {
            return Err(Failure::usage(format!("{} is to be two files: name another one", twice.display())));
        }
        self.paths().try_for_each(report::make_way).map_err(|error| unwritten(&error))
    }

    /// Who writes them.
    pub(super) fn reporters<'a>(&self, context: Context<'a>) -> impl Iterator<Item = Box<dyn Reporter + 'a>> {
        let trace = self
            .trace
            .iter()
            .map(move |path| -> Box<dyn Reporter + 'a> { Box::new(Pcapng::of_everything(path, context)) });
        self.files.iter().map(move |file| file.reporter(context)).chain(trace)
    }

    /// Where they are written to.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(ReportFile::path).chain(self.trace.as_deref())
    }
}

/// The file's path from the root on, by which it is known however it is named.
pub(super) fn whole(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    path.file_name().map_or_else(|| folder.clone(), |name| folder.join(name))
}

/// What is said of a report that could not be written.
pub(super) fn unwritten(error: &std::io::Error) -> Failure {
    Failure::ours(format!("a report could not be written: {error}"))
}
