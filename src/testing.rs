//! What tests, benches and fuzz targets need of the library; no interface for anybody else.

pub mod apply {
    pub use crate::apply::{
        Candidate, Edge, Given, KernelRegistry, Prover, Registry, RuleError, Tried, apply,
    };
}

pub mod buildx {
    pub mod builder {
        pub use crate::buildx::builder::{
            Builder, Node, NodeStatus, read_containers, read_list, read_names,
        };
    }
    pub mod docker {
        pub use crate::buildx::docker::DockerOutput;
    }
    pub mod embedded {
        pub use crate::buildx::embedded::Embedded;
    }
    pub mod engine {
        pub use crate::buildx::engine::{Engine, Location};
    }
    pub mod facts {
        pub use crate::buildx::facts::PlatformFacts;
    }
    pub mod kernel {
        pub use crate::buildx::kernel::Kernel;
    }
    pub mod observe {
        pub use crate::buildx::observe::{Orphan, OrphanKind};
    }
    pub mod test_build {
        pub use crate::buildx::test_build::{BuildLog, Built, Runner};
    }
}

pub mod config {
    pub use crate::config::{Settings, Verify, load, parse};
}

pub mod daemon {
    pub use crate::daemon::{ChangeCause, Condition, Heal, Message, RuleState, State, render};
}

pub mod doctor {
    pub use crate::doctor::{Status, Verdict, checks};
}

pub mod failure {
    pub use crate::failure::FailureKind;
}

pub mod fix {
    pub use crate::fix::{Command, Edit, Fix, Place, RunsAs};
}

pub mod observation {
    pub use crate::observation::{InstanceFacts, Observation, OwnershipRecord};
}

pub mod plan {
    pub use crate::plan::{Action, Decision, Item, Plan, Reason};
}

pub mod probe {
    pub use crate::probe::{ElfType, Report, build, build_shared, truncated};
}

pub mod report {
    pub use crate::report::{
        BuilderDocument, MatchState, OrphanDocument, RemovalDocument, StatusDocument, versioned,
    };
}

pub mod rule {
    pub use crate::rule::{
        Entry, Flags, HEADER_SIZE, Header, InterpreterPath, MAX_REGISTER_STRING,
        MIN_REGISTER_STRING, Magic, MagicError, MatchResult, Matcher, Name, PartError,
        RegisterError, Rule, judge, parse_binfmt_d, parse_hex, parse_register, to_hex, winner,
    };
}

pub mod shown {
    pub use crate::shown::quote;
}

pub mod system {
    pub mod binfmt_misc {
        pub mod instance {
            pub use crate::system::binfmt_misc::instance::{Instance, Refused};
        }
        pub mod native {
            pub use crate::system::binfmt_misc::native::{RunBy, ask};
        }
    }
    pub mod process {
        pub mod batch {
            pub use crate::system::process::batch::{BatchError, Ended};
        }
        pub mod fork {
            pub use crate::system::process::fork::run;
        }
    }
}

pub mod target {
    pub use crate::target::{Identity, Table, Target};
}

pub mod verify {
    pub use crate::verify::{ProbeSubject, Proof};
}
