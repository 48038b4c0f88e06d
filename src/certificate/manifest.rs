//! The manifest: what is certified of which server, how, and the digest of each file that shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Coverage, Verdict};
use crate::report::{Harness, Report, harmless};

/// The version of the manifest's shape. It changes where a reader of the last one would read wrongly.
pub(crate) const SCHEMA: &str = "1";
/// So many characters a name may have.
const LONGEST: usize = 200;

/// What is certified, and the files that show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// Whether it is certified.
    pub(crate) verdict: Verdict,
    /// The server, as it was named.
    pub(crate) server: Server,
    /// The version of the protocol.
    pub(crate) profile: String,
    /// How it was judged.
    pub(crate) settings: Settings,
    /// When the run ended: `2026-11-23T01:02:03Z`.
    pub(crate) when: String,
    /// What judged.
    pub(crate) harness: Harness,
    /// The command line.
    pub(crate) command: Vec<String>,
    /// What was looked at, and what was not.
    pub(crate) coverage: Coverage,
    /// Every other file of the bundle, by name.
    pub(crate) files: BTreeMap<String, Digest>,
}

/// Who the server is said to be. What it answered when it was asked stands in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// The program that was started, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) program: Option<Program>,
}

/// The file of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// Its name, without its folder.
    pub(crate) file: String,
    /// SHA-256 of its contents, in hexadecimal.
    pub(crate) sha256: String,
}

/// What may differ from one certification to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// How long the server may take for a reply, as `--timeout` takes it.
    pub(crate) timeout: String,
    /// How many sequences are drawn.
    pub(crate) sequences: u64,
    /// Which ones.
    pub(crate) seed: u64,
    /// Notes count.
    pub(crate) strict: bool,
    /// No two servers were alive at once: what needs a second one was skipped.
    pub(crate) one_at_a_time: bool,
}

/// What a file of a bundle is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Digest {
    /// How many bytes it has.
    pub(crate) bytes: u64,
    /// SHA-256 of them, in hexadecimal.
    pub(crate) sha256: String,
}

impl Server {
    /// What `certify` would not have taken for its name, its version or its place.
    pub(super) fn wrong(&self) -> Vec<String> {
        let as_taken = |taken: Result<String, String>, text: &str| match taken {
            Ok(taken) if taken == text => None,
            Ok(_) => Some("there are spaces around it".to_owned()),
            Err(why) => Some(why),
        };
        let url = self.url.as_deref().and_then(|url| as_taken(server_url(url), url));
        let each = [
            ("name", as_taken(server_name(&self.name), &self.name)),
            ("version", as_taken(server_name(&self.version), &self.version)),
            ("URL", url),
        ];
        let told =
            each.into_iter().filter_map(|(what, why)| Some(format!("the {what} of the server is none: {}", why?)));
        told.collect()
    }
}

impl Manifest {
    /// What a report comes to; the files are not yet in it.
    pub(crate) fn of(report: &Report, server: Server, settings: Settings, when: String) -> Manifest {
        Manifest {
            schema: SCHEMA.to_owned(),
            verdict: Verdict::of(report, &settings),
            server,
            // Of a server that was never spoken to, the one that was asked for.
            profile: report.profile.asked.clone(),
            settings,
            when,
            harness: report.harness.clone(),
            command: report.command.clone(),
            coverage: Coverage::of(report),
            files: BTreeMap::new(),
        }
    }
}

/// A name for people, on one line.
///
/// # Errors
/// Why the text is none.
pub(crate) fn server_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("there is nothing in it".to_owned());
    }
    if harmless(text) != text {
        return Err("it has characters that would steer a terminal".to_owned());
    }
    match text.chars().count() {
        0..=LONGEST => Ok(text.to_owned()),
        _ => Err(format!("it has more than {LONGEST} characters")),
    }
}

/// Where a server comes from.
///
/// # Errors
/// Why the text says no such place.
pub(crate) fn server_url(text: &str) -> Result<String, String> {
    let text = server_name(text)?;
    let rest = ["https://", "http://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    match rest {
        Some(rest) if !rest.is_empty() && !text.contains(char::is_whitespace) => Ok(text),
        _ => Err("a URL begins with https:// or http://, and has no spaces".to_owned()),
    }
}

/// A moment, in seconds since 1970, as a manifest has it.
pub(crate) fn moment(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    time.map_or_else(String::new, |time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// A text is such a moment.
pub(super) fn is_moment(text: &str) -> bool {
    let parsed = chrono::DateTime::parse_from_rfc3339(text).ok();
    parsed.and_then(|time| u64::try_from(time.timestamp()).ok()).is_some_and(|seconds| moment(seconds) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_one_way() {
        // `date -u -d @1795395783 +%FT%TZ`
        assert_eq!(moment(1_795_395_783), "2026-11-23T01:03:03Z");
        assert!(is_moment("2026-11-23T01:03:03Z"));
        for other in ["", "2026-11-23", "2026-11-23T01:03:03+00:00", "2026-13-23T01:03:03Z", "1900-01-01T00:00:00Z"] {
            assert!(!is_moment(other), "{other}");
        }
    }

    #[test]
    fn a_name_is_one_line_that_steers_no_terminal() {
        assert_eq!(server_name(" my-server "), Ok("my-server".to_owned()));
        for wrong in ["", "  ", "a\nb", "a\u{1b}[2J", "\u{202e}a", &"x".repeat(201)] {
            assert!(server_name(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(server_url("https://example.org/x"), Ok("https://example.org/x".to_owned()));
        for wrong in ["https://", "example.org", "javascript:alert(1)", "https://a b"] {
            assert!(server_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_manifest_does_not_have_is_no_manifest() {
        let mut manifest = serde_json::to_value(crate::certificate::sample::manifest()).unwrap();
        assert!(serde_json::from_value::<Manifest>(manifest.clone()).is_ok());
        manifest["approved"] = serde_json::json!(true);
        assert!(serde_json::from_value::<Manifest>(manifest).is_err());
    }
}
