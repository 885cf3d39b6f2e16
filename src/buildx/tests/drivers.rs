use super::*;

#[test]
fn every_driver_tells_what_it_is() {
    let names: Vec<&str> = DRIVERS.iter().map(|driver| driver.name()).collect();
    assert_eq!(names, ["docker-container", "docker", "kubernetes", "remote", "cloud"]);
    for driver in DRIVERS {
        assert_eq!(driver::find(driver.name()).name(), driver.name());
        let fixes =
            [driver.repair("mine", None), driver.repair("mine", Some("x")), driver.restart("mine")];
        for fix in fixes {
            assert!(!fix.text.to_string().is_empty() && !fix.line(ROOT).is_empty());
        }
        // It follows a colon.
        let limits = driver.limits();
        assert!(limits.starts_with("its BuildKit ") && !limits.ends_with('.'), "{limits}");
        assert_eq!(driver.containers().is_some(), driver.name() == MANAGED.name());
    }
    for unknown in ["", "docker-containers", "DOCKER"] {
        assert_eq!(driver::find(unknown).name(), "unknown");
        assert!(driver::find(unknown).containers().is_none());
        assert!(driver::find(unknown).limits().contains("does not know"));
    }
}

#[test]
fn a_builder_that_is_not_loaded_may_be_of_the_driver_that_is_managed() {
    let of = |name: &str| Builder { driver: name.to_owned(), ..ours(NodeStatus::Running) };
    for (name, is_managed) in
        [("", true), ("docker-container", true), ("docker", false), ("of next year", false)]
    {
        let builder = of(name);
        assert_eq!(builder.is_managed(), is_managed, "{name}");
        let container = builder.container(&builder.nodes[0]);
        assert_eq!(container.as_deref(), is_managed.then_some("buildx_buildkit_mine0"), "{name}");
    }
}

#[test]
fn a_container_and_a_volume_have_the_name_of_their_node() {
    let [names] = driver::containers().collect::<Vec<_>>()[..] else { panic!("one") };
    assert_eq!(names.container("mine0"), "buildx_buildkit_mine0");
    assert_eq!(names.volume("mine0"), "buildx_buildkit_mine0_state");
    assert_eq!(names.node_of_container("buildx_buildkit_mine0"), Some("mine0"));
    assert_eq!(names.node_of_volume("buildx_buildkit_mine0_state"), Some("mine0"));
    for other in ["mine0", "x_buildx_buildkit_mine0", "buildx_build", ""] {
        assert_eq!(names.node_of_container(other), None, "{other}");
        assert_eq!(names.node_of_volume(&format!("{other}_state")), None, "{other}");
    }
    for other in ["buildx_buildkit_mine0", "buildx_buildkit_mine0_states", "mine0_state"] {
        assert_eq!(names.node_of_volume(other), None, "{other}");
    }
    // A node may have any name.
    assert_eq!(names.node_of_volume("buildx_buildkit_a_state_state"), Some("a_state"));
}
