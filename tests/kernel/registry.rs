//! The cases that hold the fake instance of apply's unit tests, against the kernel's own.

use std::io;
use std::path::Path;

use binfmtd::testing::apply::{KernelRegistry, Registry};
use binfmtd::testing::system::binfmt_misc::instance::Instance;

use crate::cases::{self, Machine, PRESENT};
use crate::support::{INSTANCE, Private};
use crate::{Outcome, Setting};

struct Kernel<'a>(KernelRegistry<'a>);

impl Machine for Kernel<'_> {
    fn registry(&mut self) -> &mut dyn Registry {
        &mut self.0
    }

    fn tell(&mut self, name: &str, word: &str) -> io::Result<()> {
        Private::tell(name, word)
    }
}

pub(crate) fn cases(_: &mut Setting) -> Outcome {
    let instance = Instance::open(Path::new(INSTANCE)).map_err(|error| error.to_string())?;
    assert!(Path::new(PRESENT).exists(), "{PRESENT} is not there");
    let steps = cases::check(&mut Kernel(KernelRegistry::new(&instance)))?;
    Ok(format!("{steps} steps"))
}
