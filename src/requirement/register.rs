//! The register in memory.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Cite, Failure, Level, Policy, RegisterError, Requirement, Section};
use crate::Profile;

static BUNDLED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/requirements");

/// Every requirement, section and policy.
#[derive(Debug, Clone)]
pub struct Register {
    requirements: BTreeMap<String, Requirement>,
    sections: Vec<Section>,
    policies: BTreeMap<String, Policy>,
    sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    section: Option<Section>,
    #[serde(default, rename = "requirement")]
    requirements: Vec<Entry>,
    #[serde(default, rename = "policy")]
    policies: Vec<Policy>,
}

/// A requirement as the files hold it: without its section, which is the file's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    level: Level,
    profiles: String,
    cites: Vec<Cite>,
    text: String,
    stimulus: String,
    conforms: String,
    note: Option<String>,
    violation: Option<String>,
    needs: Vec<String>,
    failure: Failure,
    failure_reason: Option<String>,
    policy: Vec<String>,
    reviewed: bool,
    untestable: Option<String>,
}

impl Entry {
    fn in_section(self, section: &Section) -> Requirement {
        Requirement {
            section: section.id.clone(),
            id: self.id,
            level: self.level,
            profiles: self.profiles,
            cites: self.cites,
            text: self.text,
            stimulus: self.stimulus,
            conforms: self.conforms,
            note: self.note,
            violation: self.violation,
            needs: self.needs,
            failure: self.failure,
            failure_reason: self.failure_reason,
            policy: self.policy,
            reviewed: self.reviewed,
            untestable: self.untestable,
        }
    }
}

impl Register {
    /// The register that was compiled in.
    pub fn bundled() -> Result<Register, RegisterError> {
        let mut files = Vec::new();
        for file in BUNDLED.files().filter(|file| file.path().extension().is_some_and(|extension| extension == "toml"))
        {
            let name = format!("requirements/{}", file.path().display());
            match file.contents_utf8() {
                Some(text) => files.push((name, text.to_owned())),
                None => return Err(RegisterError::Encoding { file: name }),
            }
        }
        Register::parse(&files)
    }

    /// Reads `(name, text)` of every file.
    pub fn parse(files: &[(String, String)]) -> Result<Register, RegisterError> {
        let mut register = Register {
            requirements: BTreeMap::new(),
            sections: Vec::new(),
            policies: BTreeMap::new(),
            sha256: sha256(files),
        };
        let mut defined: BTreeMap<String, String> = BTreeMap::new();
        let mut define = |id: &str, file: &str| match defined.insert(id.to_owned(), file.to_owned()) {
            None => Ok(()),
            Some(first) => Err(RegisterError::Duplicate { file: file.to_owned(), id: id.to_owned(), first }),
        };
        // Policies stand in a file of their own, which may come after those that name them.
        let mut named: Vec<(&str, String, String)> = Vec::new();
        for (name, text) in files {
            let file: File = toml::from_str(text).map_err(|error| toml_error(name, text, &error))?;
            for policy in file.policies {
                define(&policy.id, name)?;
                register.policies.insert(policy.id.clone(), policy);
            }
            let Some(section) = file.section else {
                if let Some(first) = file.requirements.first() {
                    return Err(RegisterError::NoSection { file: name.clone(), id: first.id.clone() });
                }
                continue;
            };
            define(&section.id, name)?;
            for entry in file.requirements {
                define(&entry.id, name)?;
                let number = entry.id.strip_prefix(section.id.as_str()).and_then(|rest| rest.strip_prefix('-'));
                if !number.is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_alphanumeric()))
                {
                    return Err(RegisterError::Section { file: name.clone(), id: entry.id, section: section.id });
                }
                if entry.failure != entry.level.default_failure() && entry.failure_reason.is_none() {
                    return Err(RegisterError::NoReason { file: name.clone(), id: entry.id });
                }
                if Profile::meant_by(&entry.profiles).is_none() {
                    let (file, id, words) = (name.clone(), entry.id, entry.profiles);
                    return Err(RegisterError::Profiles { file, id, words });
                }
                named.extend(entry.policy.iter().map(|policy| (name.as_str(), entry.id.clone(), policy.clone())));
                register.requirements.insert(entry.id.clone(), entry.in_section(&section));
            }
            register.sections.push(section);
        }
        for (file, id, policy) in named {
            if !register.policies.contains_key(&policy) {
                return Err(RegisterError::UnknownPolicy { file: file.to_owned(), id, policy });
            }
        }
        register.sections.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(register)
    }

    /// A requirement by its id.
    pub fn get(&self, id: &str) -> Option<&Requirement> {
        self.requirements.get(id)
    }

    /// Every requirement, by id.
    pub fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.requirements.values()
    }

    /// Every section, by id.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    /// A section by its id: the prefix of its requirements' ids.
    pub fn section(&self, id: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.id == id)
    }

    /// A policy by its number.
    pub fn policy(&self, id: &str) -> Option<&Policy> {
        self.policies.get(id)
    }

    /// The policies that bear on a requirement: id, topic and ruling of each.
    pub fn policies_of(&self, requirement: &Requirement) -> Vec<String> {
        let told = |id: &String| {
            self.policy(id).map_or_else(|| id.clone(), |policy| format!("{id}, {}: {}", policy.topic, policy.ruling))
        };
        requirement.policy.iter().map(told).collect()
    }

    /// Every policy, by number.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values()
    }

    /// The ids that may have been meant by one that is not there, the likeliest first; three at most.
    pub fn similar(&self, id: &str) -> Vec<&str> {
        let asked = id.to_ascii_uppercase();
        let mut near: Vec<(usize, &str)> = self
            .requirements
            .keys()
            .map(|known| (strsim::damerau_levenshtein(&asked, known), known.as_str()))
            .filter(|(distance, _)| *distance <= 2)
            .collect();
        near.sort();
        near.into_iter().take(3).map(|(_, known)| known).collect()
    }

    /// SHA-256 over the names and texts of the files, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// The order in which the files come must not matter, nor may text move from one to the next unseen.
fn sha256(files: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = files.iter().collect();
    sorted.sort();
    let mut hash = Sha256::new();
    for (name, text) in sorted {
        for part in [name, text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn toml_error(file: &str, text: &str, error: &toml::de::Error) -> RegisterError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    let lines: Vec<&str> = text.lines().collect();
    let is_table = |line: &str| line.starts_with('[') && line.trim_end().ends_with(']');
    let first =
        (0..=line.min(lines.len().saturating_sub(1))).rev().find(|n| lines.get(*n).is_some_and(|line| is_table(line)));
    let entry = first.and_then(|first| {
        let table = lines.iter().skip(first + 1).take_while(|line| !is_table(line));
        table.filter_map(|line| line.strip_prefix("id")?.trim_start().strip_prefix('=')).next()
    });
    let key = lines.get(line).and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
    let message = error.message().trim_end().replace('\n', " ");
    let message = match key {
        Some(key) if !message.contains(&format!("`{key}`")) => format!("{key}: {message}"),
        _ => message,
    };
    RegisterError::Toml {
        file: file.to_owned(),
        line: line + 1,
        entry: entry.map(|id| id.trim().trim_matches('"').to_owned()),
        message,
    }
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
