use std::path::Path;

use super::super::environment::Environment;
use crate::config::PreserveArgv0;
use crate::failure::Failure;

fn of(variables: &[(&str, &str)]) -> Result<Environment, Failure> {
    Environment::read(&|wanted| {
        let found = variables.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_environment_says_where_and_how() {
    let plain = of(&[]).unwrap();
    assert_eq!(plain.folder, Path::new("/usr/bin"));
    assert!(!plain.exit_zero);
    let settings = plain.settings().unwrap();
    assert!(settings.credentials && settings.overrides.is_empty());
    assert_eq!(settings.preserve_argv0, PreserveArgv0::No);

    let all = of(&[
        ("QEMU_BINARY_PATH", "/opt"),
        ("QEMU_BINARY_PREFIX", "my-"),
        ("QEMU_PRESERVE_ARGV0", "0"),
        ("BINFMTD_COMPAT", "exit-zero"),
    ]);
    let all = all.unwrap();
    assert!(all.exit_zero);
    let settings = all.settings().unwrap();
    assert_eq!(settings.preserve_argv0, PreserveArgv0::Yes);
    let interpreter = settings.overrides["aarch64"].interpreter.as_ref().unwrap();
    assert_eq!(interpreter.as_path(), Path::new("/opt/my-qemu-aarch64"));

    for (name, value, word) in [
        ("QEMU_BINARY_PATH", "bin", "absolute"),
        ("QEMU_BINARY_PATH", "/usr/../bin", "without .."),
        ("QEMU_BINARY_PREFIX", "a/b", "QEMU_BINARY_PATH"),
        ("BINFMTD_COMPAT", "exit-one", "exit-zero"),
    ] {
        let error = of(&[(name, value)]).unwrap_err().message;
        assert!(error.contains(value) && error.contains(word), "{error}");
    }
}
