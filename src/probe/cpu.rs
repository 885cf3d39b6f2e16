//! The level of an x86-64 CPU, which distributions ask for: `CPU does not support x86-64-v3`.

/// What an x86-64 program may use (System V ABI for x86-64, table 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CpuLevel {
    /// What every x86-64 CPU has.
    V1,
    /// SSE4.2 and POPCNT: what RHEL 9 asks for.
    V2,
    /// AVX2, BMI and FMA: what RHEL 10 asks for.
    V3,
    /// AVX-512.
    V4,
}

const fn bits<const N: usize>(places: [u32; N]) -> u32 {
    let mut word = 0;
    let mut index = 0;
    while index < N {
        word |= 1 << places[index];
        index += 1;
    }
    word
}

/// The bits that each level adds, for each word that the program prints: `cpuid` 1 ecx, 7 ebx, 0x80000001 ecx, and
/// `xgetbv` 0.
const LEVELS: [(CpuLevel, [u32; 4]); 3] = [
    // SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT; LAHF.
    (CpuLevel::V2, [bits([0, 9, 13, 19, 20, 23]), 0, bits([0]), 0]),
    // FMA, MOVBE, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT; the kernel keeps XMM and YMM.
    (CpuLevel::V3, [bits([12, 22, 27, 28, 29]), bits([3, 5, 8]), bits([5]), bits([1, 2])]),
    // AVX-512 F, DQ, CD, BW, VL; the kernel keeps their registers.
    (CpuLevel::V4, [0, bits([16, 17, 28, 30, 31]), 0, bits([5, 6, 7])]),
];

impl CpuLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "x86-64-v1",
            Self::V2 => "x86-64-v2",
            Self::V3 => "x86-64-v3",
            Self::V4 => "x86-64-v4",
        }
    }

    /// Parses what the program wrote; `None` for anything else.
    pub fn read(output: &str) -> Option<Self> {
        let words: Option<Vec<u32>> = output
            .lines()
            .map(|line| (line.len() == 8).then(|| u32::from_str_radix(line, 16).ok())?)
            .collect();
        let words: [u32; 4] = words?.try_into().ok()?;
        let has = |wanted: &[u32; 4]| {
            wanted.iter().zip(words).all(|(wanted, word)| word & wanted == *wanted)
        };
        let reached = LEVELS.iter().take_while(|(_, wanted)| has(wanted)).last();
        Some(reached.map_or(Self::V1, |(level, _)| *level))
    }
}

#[cfg(test)]
mod tests;
