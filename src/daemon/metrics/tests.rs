use super::*;

fn text() -> Exposition {
    let mut text = Exposition::default();
    text.family("binfmtd_heals", "counter", "Changes.");
    text
}

#[test]
fn a_sample_has_the_name_of_its_family_and_its_labels_in_order() {
    let mut text = text();
    text.sample("_total", &[], 3);
    text.sample("_total", &[("cause", "removed"), ("rule", "qemu-arm")], 0.5);
    assert_eq!(
        text.end(),
        "# TYPE binfmtd_heals counter\n# HELP binfmtd_heals Changes.\nbinfmtd_heals_total 3\n\
             binfmtd_heals_total{cause=\"removed\",rule=\"qemu-arm\"} 0.5\n# EOF\n"
    );
}

#[test]
fn values_of_labels_are_escaped() {
    let mut text = text();
    text.sample("", &[("interpreter", "a\\b\"c\nd")], 1);
    assert!(text.end().contains(r#"{interpreter="a\\b\"c\nd"} 1"#));
}
