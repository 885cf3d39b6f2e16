use super::*;
use crate::target::Table;

#[test]
fn what_the_kernel_did_not_tell_is_never_foreign() {
    let table = Table::embedded();
    let family = ["x86_64", "i386", "i486"].map(|name| table.find(name).unwrap());
    let natives = |answers: [RunBy; 3]| {
        native_ones(&family, answers.to_vec()).map_err(|error| error.to_string())
    };
    let (kernel, rule, nobody) = (RunBy::Kernel, RunBy::Rule, RunBy::Nobody);
    let unclear = RunBy::Unclear("why".to_owned());
    let names = |names: &[&str]| Ok(names.iter().map(|&name| name.to_owned()).collect());

    let answers = [kernel.clone(), kernel.clone(), nobody.clone()];
    assert_eq!(natives(answers), names(&["x86_64", "i386"]));
    let answers = [kernel.clone(), rule.clone(), kernel.clone()];
    assert_eq!(natives(answers), names(&["x86_64", "i486"]));
    // Under an emulator, where a rule takes this very program; or nothing can be told by this.
    let answers = [rule.clone(), rule, nobody.clone()];
    assert_eq!(natives(answers), names(&["x86_64", "i386"]));

    let error = natives([kernel.clone(), unclear.clone(), kernel.clone()]).unwrap_err();
    assert!(error.ends_with("by itself: i386: why"), "{error}");
    let error = natives([unclear, kernel.clone(), kernel.clone()]).unwrap_err();
    assert!(error.ends_with("x86_64: why"), "{error}");
    let error = natives([nobody, kernel.clone(), kernel]).unwrap_err();
    assert!(error.contains("x86_64: the kernel does not know its own programs"), "{error}");
}
