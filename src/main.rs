//! The program `vfio-user-conformance`.

fn main() -> std::process::ExitCode {
    vfio_user_conformance::cli::main()
}
