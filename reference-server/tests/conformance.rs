//! What the harness says of this server: `ci/mutants` alters the server and wants to hear of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

use std::env;
use std::path::Path;
use std::process::Command;

/// The server's arguments for each version that it speaks, and with all left out that it can leave out.
const RUNS: [(&str, &str, &str); 5] = [
    ("0.9.2", "", "conformance.toml"),
    ("0.9.1", "--profile 0.9.1 --with pfn-query", "conformance.toml"),
    ("v8", "--profile v8", "conformance.toml"),
    ("v8c", "--profile v8c", "conformance.toml"),
    ("0.9.2", "--without ALL", "conformance-without-dma.toml"),
];

#[test]
#[ignore = "VFIO_USER_CONFORMANCE names the harness's program"]
fn the_harness_has_no_finding() {
    let harness = env::var_os("VFIO_USER_CONFORMANCE").unwrap();
    let devices = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/devices");
    let all = vfio_user_reference_server::Feature::ALL.map(|(word, _)| word).join(",");
    for (profile, arguments, device) in RUNS {
        let server = env!("CARGO_BIN_EXE_vfio-user-reference-server");
        let server = format!("{server} {} --socket-path={{socket}}", arguments.replace("ALL", &all));
        let status = Command::new(&harness)
            .args(["run", "--strict", "--fail-fast", "--profile", profile, "--spawn", &server, "--device"])
            .arg(devices.join(device))
            .status()
            .unwrap();
        assert!(status.success(), "{server}: {status}");
    }
}
