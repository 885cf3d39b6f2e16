//! What could not be looked at is neither well nor failed: exit code 3, in each format.

use crate::column;
use crate::support::need;
use crate::world::{BINFMTD, Said, World, qemu};

/// In a sandbox in which no emulator can work, as `MemoryDenyWriteExecute=` makes one.
const SANDBOX: &str = r"
import ctypes, os, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
";

fn world() -> Option<World> {
    qemu()?;
    let world = World::mounted()?;
    world.binfmtd("register").ended(0);
    let said = world.run(["/usr/bin/python3", "-c", SANDBOX, "/bin/true"]);
    let found = if said.code == 0 { Ok(()) } else { Err(format!("{} {}", said.code, said.err)) };
    need("PR_SET_MDWE (Linux 6.3) and Python", found)?;
    Some(world)
}

fn in_sandbox(world: &World, line: &str) -> Said {
    let config = world.config();
    let start = ["/usr/bin/python3", "-c", SANDBOX, BINFMTD, "--config", config.to_str().unwrap()];
    world.run(start.into_iter().chain(line.split(' ')))
}

#[test]
fn a_sandbox_says_nothing_about_the_host() {
    let Some(world) = world() else { return };
    let document = in_sandbox(&world, "--format json doctor arm64").ended(3).document();
    assert_eq!(column(&document["targets"], "verdict"), ["unproved"], "{document:#}");
    let statuses = column(&document["checks"], "status");
    assert!(statuses.contains(&"error") && !statuses.contains(&"fail"), "{document:#}");
    let said = in_sandbox(&world, "doctor arm64").ended(3);
    assert!(said.out.contains("\n  1 unproved  aarch64\nnot all could be checked"), "{said:#?}");
    let said = in_sandbox(&world, "--format junit doctor arm64").ended(3);
    let first = said.out.lines().nth(1).unwrap();
    assert!(first.contains("failures=\"0\"") && !first.contains("errors=\"0\""), "{said:#?}");
    let said = in_sandbox(&world, "--format github doctor arm64").ended(3);
    assert!(said.out.contains("::error title=binfmtd%3A aarch64 unproved::"), "{said:#?}");
    assert!(said.out.contains("::notice title=binfmtd doctor::not all could be"), "{said:#?}");
    // The host itself is well.
    world.binfmtd("doctor arm64").ended(0);
}

#[test]
fn a_failure_is_one_whatever_else_could_not_be_checked() {
    let Some(world) = world() else { return };
    world.binfmtd("unregister riscv64").ended(0);
    in_sandbox(&world, "doctor arm64 riscv64").ended(1);
    in_sandbox(&world, "doctor --require riscv64").ended(1);
    in_sandbox(&world, "doctor --require arm64").ended(3);
}
