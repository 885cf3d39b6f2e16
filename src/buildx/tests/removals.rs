use super::*;

fn orphan(node: &str, kind: OrphanKind, ours: bool) -> Orphan {
    Orphan { kind, name: format!("name of {node}"), node: node.to_owned(), ours }
}

fn orphans() -> Vec<Orphan> {
    let container = || OrphanKind::Container("exited".to_owned());
    vec![
        orphan("mine0", container(), true),
        orphan("mine0", OrphanKind::Volume, true),
        orphan("other0", OrphanKind::Volume, true),
        // Of a builder of this name that another user of binfmtd has.
        orphan("mine0", container(), false),
        orphan("theirs0", OrphanKind::Volume, false),
    ]
}

fn record() -> BuilderRecord {
    let of = |builder: &str| OwnedNode {
        engine: "e".to_owned(),
        node: format!("{builder}0"),
        builder: builder.to_owned(),
    };
    BuilderRecord { schema: 1, nodes: BTreeSet::from([of("mine"), of("other")]) }
}

#[test]
fn a_removal_is_of_a_builder_or_of_what_is_left() {
    let mine = |keep_state| RemovalRequest::Builder { name: "mine", keep_state };
    let (list, yes) =
        (RemovalRequest::Orphans { remove: false }, RemovalRequest::Orphans { remove: true });
    for (request, engine, selected, removed) in [
        (mine(false), "e", &[0, 1][..], &[0, 1][..]),
        (mine(false), "another", &[], &[]),
        (mine(true), "e", &[], &[]),
        (list, "e", &[0, 1, 2, 3, 4], &[]),
        (yes, "e", &[0, 1, 2, 3, 4], &[0, 1, 2]),
    ] {
        let all = orphans();
        let of = |places: &[usize]| places.iter().map(|at| all[*at].clone()).collect::<Vec<_>>();
        let told = request.select(orphans(), &record(), engine);
        assert_eq!(told, of(selected), "{request:?}");
        let told: Vec<Orphan> = told.into_iter().filter(|one| request.removes(one)).collect();
        assert_eq!(told, of(removed), "{request:?}");
    }
}

#[test]
fn what_could_not_be_removed_is_told() {
    let failed = || ApplyError::InvalidOption("boo".to_owned());
    let [one, another, third, ..] = <[Orphan; 5]>::try_from(orphans()).unwrap();
    let removal = BuilderRemoval {
        builder: None,
        orphans: vec![
            OrphanRemoval { orphan: one, outcome: Some(Err(failed())) },
            OrphanRemoval { orphan: another, outcome: Some(Ok(())) },
            OrphanRemoval { orphan: third, outcome: None },
        ],
    };
    assert_eq!(removal.errors().collect::<Vec<_>>(), ["container name of mine0: boo"]);
    assert_eq!(OrphanKind::Volume.word(), "volume");
}
