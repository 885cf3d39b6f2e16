//! The machine code, assembled from `asm/` (`tests/assemblers/assemble --check` compares each byte).

macro_rules! codes {
    ($($target:literal),* $(,)?) => {
        /// The code for a target, entry first.
        pub(super) fn code(target: &str) -> Option<&'static [u8]> {
            match target {
                $($target => Some(include_bytes!(concat!("code/", $target, ".bin"))),)*
                _ => None,
            }
        }
    };
}

codes![
    "aarch64",
    "aarch64_be",
    "alpha",
    "arm",
    "armeb",
    "cris",
    "hexagon",
    "hppa",
    "i386",
    "loongarch64",
    "m68k",
    "microblaze",
    "microblazeel",
    "mips",
    "mips64",
    "mips64el",
    "mipsel",
    "mipsn32",
    "mipsn32el",
    "nios2",
    "or1k",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv32",
    "riscv64",
    "s390x",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc32plus",
    "sparc64",
    "x86_64",
    "x86_64-level",
    "xtensa",
    "xtensaeb",
];
