//! What runs in the machine: the initramfs, and the part of it that is this very program.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::fexecve;

use crate::archive::Archive;
use crate::machine::Kernel;
use crate::support::stage::{BINFMTD, Qemu, listing};
use binfmtd::testing::probe;
use binfmtd::testing::target::Table;

/// Those whose programs and emulators are taken along.
pub(crate) const TARGETS: [&str; 4] = ["aarch64", "arm", "riscv64", "s390x"];

/// Makes the initramfs for all `kernels`.
pub(crate) fn initramfs(
    path: &Path,
    kernels: &[Kernel],
    qemu: &Qemu,
    busybox: &Path,
) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let stripped = |program: &Path, name: &str| {
        let stripped = scratch.path().join(name);
        said(Command::new("strip").arg("-o").arg(&stripped).arg(program)).map(|_| stripped)
    };
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let programs = [("binfmtd", Path::new(BINFMTD)), ("guest", &this)];
    let applets = said(Command::new(busybox).arg("--list"))?;
    let write = || -> std::io::Result<()> {
        let mut archive = Archive::create(path)?;
        for folder in ["proc", "sys", "dev", "tmp", "run", "sbin"] {
            archive.folder(folder)?;
        }
        archive.device("dev/console", 5, 1)?;
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/guest");
        archive.copy("init", &here.join("init"))?;
        archive.copy("sbin/modprobe", &here.join("modprobe"))?;
        for scenario in listing(&here.join("scenarios")) {
            archive.copy(
                &format!("guest/scenarios/{scenario}"),
                &here.join("scenarios").join(&scenario),
            )?;
        }
        archive.copy("bin/busybox", busybox)?;
        for applet in applets.lines().filter(|applet| *applet != "busybox") {
            archive.link(&format!("bin/{applet}"), "busybox")?;
        }
        let mut libraries = BTreeSet::new();
        for (name, program) in programs {
            let program = stripped(program, name).map_err(std::io::Error::other)?;
            libraries.extend(loaded(&program).map_err(std::io::Error::other)?);
            archive.copy(&format!("bin/{name}"), &program)?;
        }
        for library in &libraries {
            archive.copy(&library.to_string_lossy(), library)?;
        }
        let table = Table::embedded();
        for name in TARGETS {
            let program = format!("qemu-{name}-static");
            archive.copy(&format!("usr/bin/{program}"), &qemu.folder.join(&program))?;
            let target = table.find(name).expect("a known target");
            let machine = target.identity.machines[0];
            let foreign = probe::build(target, machine).expect("a probe");
            archive.program(&format!("foreign/{name}"), &foreign)?;
        }
        for kernel in kernels {
            let modules = format!("lib/modules/{}", kernel.release);
            let module = fs::read(kernel.folder.join("binfmt_misc.ko"))?;
            archive.data(&format!("{modules}/binfmt_misc.ko"), &module)?;
            archive.data(&format!("{modules}/modules.dep"), b"binfmt_misc.ko:\n")?;
            archive
                .data(&format!("{modules}/modules.alias"), b"alias fs-binfmt_misc binfmt_misc\n")?;
        }
        archive.finish()
    };
    write().map_err(|error| format!("the initramfs: {error}"))
}

/// Debian's package busybox-static.
pub(crate) fn busybox() -> Result<PathBuf, String> {
    ["/bin/busybox", "/usr/bin/busybox"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file())
        .filter(|path| loaded(path).is_ok_and(|libraries| libraries.is_empty()))
        .ok_or_else(|| "no static busybox (Debian's package busybox-static)".to_owned())
}

/// What a program needs to start: the loader and its libraries; nothing for a static one.
pub(crate) fn loaded(program: &Path) -> Result<Vec<PathBuf>, String> {
    let listed = Command::new("ldd").arg(program).output().map_err(|error| error.to_string())?;
    // Each line has one path, but for the one that the kernel brings: `NAME => PATH (ADDRESS)`.
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    Ok(text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

pub(crate) fn said(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What busybox has not.
pub(crate) fn main(words: &[String]) -> ExitCode {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["events", folder, program, ref arguments @ ..] => events(folder, program, arguments),
        ["start", program, name] => start(Path::new(program), name),
        _ => ExitCode::from(2),
    }
}

/// Becomes a program, by its descriptor and not by its path.
fn start(program: &Path, name: &str) -> ExitCode {
    let file = fs::File::open(program).expect("a program");
    let name = CString::new(name).expect("a name without NUL");
    let Err(errno) = fexecve(file, &[name], &[] as &[&CStr]);
    println!("{errno}");
    ExitCode::FAILURE
}

/// Runs a command and prints the inotify events on the folder meanwhile, a line each. They are queued
/// while the system call that causes them goes on, so all are there when the command has ended.
fn events(folder: &str, program: &str, arguments: &[&str]) -> ExitCode {
    let watch = Inotify::init(InitFlags::IN_NONBLOCK).expect("inotify");
    // Not what reading causes.
    let wanted = AddWatchFlags::IN_ALL_EVENTS
        - AddWatchFlags::IN_ACCESS
        - AddWatchFlags::IN_OPEN
        - AddWatchFlags::IN_CLOSE;
    watch.add_watch(folder, wanted).expect("a watch");
    let status = Command::new(program).args(arguments).status().expect("a command");
    loop {
        match watch.read_events() {
            Ok(events) => {
                for event in events {
                    let kind: Vec<_> = event.mask.iter_names().map(|(name, _)| name).collect();
                    let name = event.name.unwrap_or_default();
                    println!("{} {}", kind.join("|"), name.to_string_lossy());
                }
            }
            Err(Errno::EAGAIN) => break,
            Err(errno) => panic!("{errno}"),
        }
    }
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
