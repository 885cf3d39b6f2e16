//! The drop-in's environment variables, and the settings that follow from them.

use std::path::{Component, PathBuf};

use crate::config::{Override, PreserveArgv0, Settings};
use crate::failure::Failure;
use crate::rule::InterpreterPath;

/// The variables that tonistiigi/binfmt reads, and one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Environment {
    /// `QEMU_BINARY_PATH`.
    pub(super) folder: PathBuf,
    /// `QEMU_BINARY_PREFIX`.
    pub(super) prefix: String,
    /// `QEMU_PRESERVE_ARGV0`.
    preserve_argv0: bool,
    /// `BINFMTD_COMPAT=exit-zero`.
    pub(super) exit_zero: bool,
}

/// A variable of this process; an empty one counts as not set.
pub(super) fn of_process(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

impl Environment {
    pub(super) fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let folder =
            PathBuf::from(get("QEMU_BINARY_PATH").unwrap_or_else(|| "/usr/bin".to_owned()));
        if !folder.is_absolute() || folder.components().any(|part| part == Component::ParentDir) {
            let folder = folder.display();
            return Err(Failure::usage(format!(
                "QEMU_BINARY_PATH is {folder}; give an absolute path without .."
            )));
        }
        let prefix = get("QEMU_BINARY_PREFIX").unwrap_or_default();
        if prefix.contains('/') {
            return Err(Failure::usage(format!(
                "QEMU_BINARY_PREFIX is {prefix}; give the beginning of the file names here, and the folder in \
                 QEMU_BINARY_PATH"
            )));
        }
        let exit_zero = match get("BINFMTD_COMPAT").as_deref() {
            None => false,
            Some("exit-zero") => true,
            Some(other) => {
                return Err(Failure::usage(format!(
                    "BINFMTD_COMPAT is {other}; only exit-zero is known"
                )));
            }
        };
        let preserve_argv0 = get("QEMU_PRESERVE_ARGV0").is_some();
        Ok(Self { folder, prefix, preserve_argv0, exit_zero })
    }

    /// The settings that tonistiigi/binfmt would have: credentials always, and no configuration file.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings {
            credentials: true,
            preserve_argv0: if self.preserve_argv0 {
                PreserveArgv0::Yes
            } else {
                PreserveArgv0::No
            },
            interpreter_directories: vec![self.folder.clone()],
            ..Settings::default()
        };
        if self.prefix.is_empty() {
            return Ok(settings);
        }
        for target in settings.table.targets() {
            let mut paths = target.interpreters.iter().map(|file| self.interpreter(file));
            let path = paths.clone().find(|path| path.exists()).or_else(|| paths.next_back());
            let interpreter = path.map(|path| InterpreterPath::new(&path)).transpose();
            let interpreter = interpreter.map_err(Failure::usage)?;
            settings
                .overrides
                .insert(target.name.clone(), Override { interpreter, ..Override::default() });
        }
        Ok(settings)
    }

    fn interpreter(&self, file: &str) -> PathBuf {
        self.folder.join(format!("{}{file}", self.prefix))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

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
        assert!(!plain.preserve_argv0 && !plain.exit_zero);
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
}
