use super::*;

#[test]
fn a_fault_says_what_is_wrong_and_the_command_that_corrects_it() {
    let fault = |problem| TrustFault { path: "/a b/q".into(), owner: 7, mode: 0o4757, problem };
    for (problem, said) in [
        (
            TrustProblem::Owner,
            "belongs to somebody other than root (owner 7, mode 4757); run: chown root: '/a b/q'",
        ),
        (
            TrustProblem::LinkOwner,
            "belongs to somebody other than root (owner 7, mode 4757); run: chown -h root: '/a b/q'",
        ),
        (
            TrustProblem::Writable,
            "users other than root may write it (owner 7, mode 4757); run: chmod go-w '/a b/q'",
        ),
    ] {
        assert_eq!(fault(problem).sentence(), said);
        let (what, _) = said.split_once("; run: ").unwrap();
        assert_eq!(fault(problem).to_string(), format!("'/a b/q': {what}"));
    }
}

#[test]
fn errors_of_the_kernel_keep_their_number() {
    let denied = io::Error::from_raw_os_error(13);
    assert_eq!(SystemError::from(&denied).to_string(), denied.to_string());
    assert_eq!(SystemError::from(&io::Error::other("x")), SystemError(5));
}

#[test]
fn a_file_that_is_there_explains_more_than_one_that_is_not() {
    let missing = || (PathBuf::from("/gone"), InterpreterFault::Missing);
    let bad = || (PathBuf::from("/bad"), InterpreterFault::NotElf);
    let found = |faulty| Candidates { usable: None, faulty };
    let culprit = |candidates: &Candidates| {
        candidates.culprit().map(|(path, _)| path.to_string_lossy().into_owned())
    };
    assert_eq!(culprit(&found(vec![missing(), bad()])).as_deref(), Some("/bad"));
    assert_eq!(culprit(&found(vec![missing()])).as_deref(), Some("/gone"));
    assert_eq!(culprit(&found(vec![])), None);
}
