//! Every case as a test: against the bundled reference server or, by the environment, any other
//! (`VFIO_USER_CONFORMANCE_SPAWN`, `_SOCKET`, `_PROFILE`, `_DEVICE`, `_EXPECT`, `_STRICT`, `_CASES`, `_TIMEOUT` as the options of
//! `run`).

use std::env;
use std::process::ExitCode;

use vfio_user_conformance::suite::Suite;

fn main() -> ExitCode {
    let mut command = vec![env!("CARGO_BIN_EXE_vfio-user-conformance").to_owned(), "reference-server".to_owned()];
    let asked = env::var("VFIO_USER_CONFORMANCE_PROFILE").ok().filter(|name| name != "auto" && name != "0.9.2");
    if let Some(profile) = asked {
        command.extend(["--profile".to_owned(), profile, "--with".to_owned(), "pfn-query".to_owned()]);
    }
    let device = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/devices/conformance.toml");
    Suite::spawn(command).device_file(device).main()
}
