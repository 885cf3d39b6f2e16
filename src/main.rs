//! The binary: one call.

fn main() -> std::process::ExitCode {
    binfmtd::cli::main()
}
