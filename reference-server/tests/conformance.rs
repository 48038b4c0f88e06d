//! What the harness says of this server: `ci/mutants` alters the server and wants to hear of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

use std::env;
use std::path::Path;
use std::process::Command;

/// Versions that the server speaks, and with some or all left out that it can leave out: its arguments, the device file, what it offers.
/// One takes over a socket, the others make their own.
const RUNS: [(&str, &str, &str, &str); 6] = [
    ("0.9.2", "", "conformance.toml", "reference-0.9.2.toml"),
    ("0.9.1", "--profile 0.9.1 --with pfn-query", "conformance.toml", "reference-0.9.1.toml"),
    ("v8", "--profile v8", "conformance.toml", "reference-v8.toml"),
    ("v8c", "--profile v8c --fd={fd}", "conformance.toml", "reference-v8c.toml"),
    ("0.9.2", "--without pre-copy,dma-logging,write-multi,io-fds", "conformance.toml", "reference-without-some.toml"),
    ("0.9.2", "--without ALL", "conformance-without-dma.toml", "reference-without-all.toml"),
];

#[test]
#[ignore = "VFIO_USER_CONFORMANCE names the harness's program"]
fn the_harness_has_no_finding() {
    let harness = env::var_os("VFIO_USER_CONFORMANCE").unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let all = vfio_user_reference_server::Feature::ALL.map(|(word, _)| word).join(",");
    for (profile, arguments, device, offers) in RUNS {
        let server = env!("CARGO_BIN_EXE_vfio-user-reference-server");
        let server = format!("{server} {}", arguments.replace("ALL", &all));
        let status = Command::new(&harness)
            .args(["run", "--strict", "--fail-fast", "--profile", profile, "--spawn", &server, "--device"])
            .arg(fixtures.join("devices").join(device))
            .arg("--expect")
            .arg(fixtures.join("expectations").join(offers))
            .status()
            .unwrap();
        assert!(status.success(), "{server}: {status}");
    }
}
