use super::*;

#[test]
fn a_level_needs_all_of_the_levels_below() {
    let level = |words: [u32; 4]| {
        CpuLevel::read(&words.map(|word| format!("{word:08x}\n")).concat()).unwrap()
    };
    let two = LEVELS[0].1;
    let or = |one: [u32; 4], other: [u32; 4]| std::array::from_fn(|at| one[at] | other[at]);
    let three = or(two, LEVELS[1].1);
    let four = or(three, LEVELS[2].1);
    assert_eq!(level([0; 4]), CpuLevel::V1);
    assert_eq!(level(two), CpuLevel::V2);
    assert_eq!(level(three), CpuLevel::V3);
    assert_eq!(level(four), CpuLevel::V4);
    assert_eq!(level([u32::MAX; 4]), CpuLevel::V4);
    // As QEMU 7.2's and 11.1's default CPU say, and a Xeon with AVX-512 that ld.so calls v4.
    assert_eq!(level([0xfed8_320b, 0x01d8_43a9, 0x75, 0x21f]), CpuLevel::V3);
    assert_eq!(level([0xfffa_320b, 0x219c_47a9, 0x377, 0x21f]), CpuLevel::V3);
    assert_eq!(level([0xfffa_3203, 0xf1bf_2ffb, 0x121, 0x0006_00e7]), CpuLevel::V4);
    // Of AVX the kernel has to know.
    assert_eq!(level([four[0], four[1], four[2], 0]), CpuLevel::V2);
    // Without POPCNT nothing above counts.
    assert_eq!(level([four[0] & !(1 << 23), four[1], four[2], four[3]]), CpuLevel::V1);
    assert_eq!(level([four[0], four[1] & !(1 << 17), four[2], four[3]]), CpuLevel::V3);
}

#[test]
fn anything_else_is_no_level() {
    for output in ["", "00000000\n", "0\n0\n0\n0\n", "+0000000\n00000000\n00000000\n0000000g\n"] {
        assert_eq!(CpuLevel::read(output), None, "{output:?}");
    }
    assert_eq!(CpuLevel::read(&"00000000\n".repeat(5)), None);
}
