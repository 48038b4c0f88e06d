//! What tshark reads from a capture by the dissector is what the tables say: `run --trace`, `--report pcapng=FILE`, `dissector`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vfio_user_conformance::report::Report;
use vfio_user_conformance::session::Entry;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vfio-user-conformance");

/// The fields of each packet, by the names of the dissector; those that stand several times have all values.
fn dissected(plugin: &Path, capture: &Path) -> Vec<BTreeMap<String, Vec<String>>> {
    let script = format!("lua_script:{}", plugin.display());
    let output =
        Command::new("tshark").args(["-X", &script, "-T", "json", "--no-duplicate-keys", "-r"]).arg(capture).output();
    let output = output.unwrap_or_else(|error| panic!("tshark could not be started (apt-get install tshark): {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("Lua"), "{errors}");
    let packets: Value = serde_json::from_slice(&output.stdout).unwrap();
    packets
        .as_array()
        .unwrap()
        .iter()
        .map(|packet| {
            let mut fields = BTreeMap::new();
            gather(&packet["_source"]["layers"], &mut fields);
            fields
        })
        .collect()
}

fn gather(value: &Value, fields: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if let Value::String(text) = value {
                    fields.entry(key.clone()).or_default().push(text.clone());
                }
                gather(value, fields);
            }
        }
        Value::Array(array) => array.iter().for_each(|value| gather(value, fields)),
        _ => {}
    }
}

fn number(text: &str) -> u64 {
    let digits = text.split(' ').next().unwrap();
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => digits.parse().unwrap_or_else(|error| panic!("{text}: {error}")),
    }
}

/// Compares the fixed fields of a message; how many there were.
fn compare(entry: &Entry, packet: &BTreeMap<String, Vec<String>>) -> usize {
    let message = entry.message.split(' ').next().unwrap().to_lowercase();
    let plain = |name: &str| !["data", "ranges", "pages"].contains(&name) && !name.contains('[');
    let fields = entry.fields.iter().filter(|field| plain(&field.name));
    fields
        .map(|field| {
            let name = match field.name.strip_prefix("header.") {
                Some(_) => format!("vfio_user.{}", field.name),
                None => format!("vfio_user.{message}.{}", field.name),
            };
            let found = packet.get(&name).unwrap_or_else(|| panic!("no {name} in {packet:#?} of {entry:#?}"));
            assert_eq!(number(&found[0]), number(&field.value), "{name} of {entry:#?}");
        })
        .count()
}

#[test]
#[ignore = "needs tshark: apt-get install tshark"]
fn tshark_reads_every_field_as_the_transcript_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let [plugin, capture, report] = ["vfio_user.lua", "all.pcapng", "all.json"].map(|name| folder.path().join(name));
    std::fs::write(&plugin, Command::new(PROGRAM).arg("dissector").output().unwrap().stdout).unwrap();
    let filters: [(&str, &[&str]); 4] = [
        ("0.9.2", &["dma-map.*", "device-feature.*", "io-fds.*", "mig-data.*", "region-write-multi.*", "twin.*"]),
        ("0.9.1", &["dirty-pages.*", "dirty-unmap.*", "legacy-*", "migration-region.*"]),
        ("v8c", &["dirty-table.*", "early*", "map-table.*", "unmap-table.*"]),
        ("v8", &["dirty-table.*", "dma-access.*", "map-table.*", "unmap-table.*", "vm-interrupt.*"]),
    ];
    for (profile, filters) in filters {
        let status = Command::new(PROGRAM)
            .args(["run", "--profile", profile])
            .args(filters)
            .args([format!("--report=json={}", report.display()), format!("--trace={}", capture.display())])
            .status()
            .unwrap();
        assert!(status.success(), "{profile}: {status}");
        let report: Report = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        let entries: Vec<&Entry> = report.cases.iter().flat_map(|case| &case.transcript).collect();
        let packets = dissected(&plugin, &capture);
        assert_eq!(packets.len(), entries.len(), "{profile}");
        let fields: usize = entries
            .iter()
            .zip(&packets)
            // Of a message that was cut short for the report, some of the fields are gone.
            .filter(|(entry, _)| entry.bytes.len() == 2 * entry.length)
            .map(|(entry, packet)| compare(entry, packet))
            .sum();
        assert!(fields > 1000, "{profile}: {fields} fields");
    }
}
