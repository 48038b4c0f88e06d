//! The badge: a file for the endpoint of shields.io.

use serde::{Deserialize, Serialize};

use super::{Level, Manifest, Verdict};

/// What <https://shields.io/badges/endpoint-badge> reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Badge {
    schema_version: u8,
    label: String,
    message: String,
    color: String,
    /// Nobody may choose a friendlier colour.
    is_error: bool,
}

impl Badge {
    /// What a manifest says, in a few words.
    pub(crate) fn of(manifest: &Manifest) -> Badge {
        let counts = manifest.coverage.requirements;
        let covered = format!("{} of {} requirements", counts.exercised(), counts.all);
        let (message, color, is_error) = match manifest.verdict {
            Verdict::Certified(Level::Strict) => (format!("strict, {covered}"), "brightgreen", false),
            Verdict::Certified(Level::Conforming) => (format!("conforming, {covered}"), "green", false),
            Verdict::Refused(_) => ("not certified".to_owned(), "red", true),
        };
        let label = format!("vfio-user {}", manifest.profile);
        Badge { schema_version: 1, label, message, color: color.to_owned(), is_error }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::certificate::sample;

    #[test]
    fn a_badge_has_the_shape_that_shields_reads_and_says_what_is_covered() {
        let mut manifest = sample::manifest();
        let shown = |manifest: &Manifest| serde_json::to_value(Badge::of(manifest)).unwrap();
        assert_eq!(
            shown(&manifest),
            json!({
                "schemaVersion": 1, "label": "vfio-user 0.9.2", "message": "strict, 1 of 3 requirements",
                "color": "brightgreen", "isError": false
            })
        );
        manifest.verdict = Verdict::Certified(Level::Conforming);
        assert_eq!(shown(&manifest)["message"], "conforming, 1 of 3 requirements");
        assert_eq!(shown(&manifest)["color"], "green");
        manifest.verdict = Verdict::Refused(vec!["why".to_owned()]);
        let refused = shown(&manifest);
        assert_eq!((&refused["message"], &refused["color"]), (&json!("not certified"), &json!("red")));
        assert_eq!(refused["isError"], true);
    }
}
