use super::*;

#[test]
fn a_missing_module_has_the_way_out_of_its_distribution() {
    let settings = Settings::default();
    for (module, distribution, words) in [
        (Module::Unknown, Distribution::Debian, &["modprobe binfmt_misc"][..]),
        (Module::Loadable, Distribution::Other, &["is not loaded", "modprobe binfmt_misc"]),
        (Module::NotInstalled, Distribution::Ubuntu, &["linux-modules-extra-6.1.0"]),
        (Module::NotInstalled, Distribution::Debian, &["--reinstall linux-image-6.1.0"]),
        (Module::NotInstalled, Distribution::Fedora, &["kernel-modules-core-6.1.0"]),
        (Module::NotInstalled, Distribution::Suse, &["zypper install"]),
        (Module::NotInstalled, Distribution::Arch, &["pacman -S linux"]),
        (Module::NotInstalled, Distribution::Alpine, &["apk add linux-lts"]),
        (Module::NotInstalled, Distribution::Other, &["extra modules of this kernel"]),
        (Module::NotBuilt, Distribution::Debian, &["built without", "CONFIG_BINFMT_MISC"]),
        (Module::OtherKernel, Distribution::Arch, &["upgraded after boot", "reboot"]),
    ] {
        let mut host = host(&settings);
        host.supported = false;
        host.trouble = Some(InstanceError::NoFolder);
        (host.module, host.distribution) = (module, distribution);
        host.ask("aarch64", Some(Ran::Not));
        host.holds("kernel.supported", FAIL, words);
        // Told once.
        host.holds("kernel.mounted", SKIP, &["no binfmt_misc that could be mounted"]);
    }
    let mut host = host(&settings);
    (host.supported, host.container) = (false, true);
    host.module = Module::OtherKernel;
    host.holds(
        "kernel.supported",
        FAIL,
        &["on the host: modprobe binfmt_misc", "load the module on the host"],
    );
}

#[test]
fn nothing_mounted_is_told_where_something_is_asked() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.stack = Vec::new();
    host.trouble = Some(InstanceError::NotMounted);
    host.holds("kernel.mounted", SKIP, &["nothing here asks for it"]);
    host.ask("aarch64", Some(Ran::Not));
    host.holds("kernel.mounted", FAIL, &["is not mounted", "nothing", "mount -t binfmt_misc"]);
    assert!(!host.says("kernel.mounted").evidence.to_string().contains("user namespace"));
    host.first_namespace = false;
    host.holds("kernel.mounted", FAIL, &["still hides the host's rules"]);
    host.trouble = Some(InstanceError::BrokenAutomount("ELOOP".to_owned()));
    host.holds("kernel.mounted", FAIL, &["the automount on", "umount ", " && mount -t"]);
    host.trouble = Some(InstanceError::NoFolder);
    host.holds("kernel.mounted", FAIL, &["does not exist", "modprobe binfmt_misc && mount"]);
}

#[test]
fn an_instance_elsewhere_is_a_containers_volume_or_a_mistake() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.stack = Vec::new();
    host.elsewhere = Some("/volume".into());
    let words = &["/volume only", "mount -t binfmt_misc", "mounted there: nothing"];
    host.holds("kernel.mounted", WARN, words);
    host.container = true;
    host.holds("kernel.mounted", PASS, &["on /volume", "has it as a volume"]);
}

#[test]
fn who_may_not_write_is_told_why() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.holds("kernel.writable", PASS, &[]);
    host.seen.instance.writable = false;
    host.holds("kernel.writable", WARN, &["security policy", "dmesg"]);
    host.first_namespace = false;
    host.holds("kernel.writable", SKIP, &["this user namespace"]);
    host.read_only = true;
    host.holds("kernel.writable", WARN, &["read-only", "mount -o remount,rw"]);
    host.uid = 1000;
    host.holds("kernel.writable", SKIP, &["does not run as root"]);
}

#[test]
fn which_instance_it_is() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.holds("kernel.instance", PASS, &["this is the host's instance"]);
    host.container = true;
    host.holds("kernel.instance", PASS, &["seen from a container"]);
    host.first_namespace = false;
    host.limits.uid_map = "         0       1000          1\n".to_owned();
    host.holds("kernel.instance", PASS, &["no effect outside", "uid_map says 0 1000 1"]);
    host.from_above = true;
    host.holds("kernel.instance", PASS, &["a namespace above this one"]);
    host.trouble = Some(InstanceError::NotMounted);
    host.holds("kernel.instance", SKIP, &["user namespace", "uid_map says 0 1000 1"]);
}

#[test]
fn an_instance_that_hides_the_one_that_is_seen() {
    let settings = Settings::default();
    let mut masked = host(&settings);
    masked.first_namespace = false;
    masked.plant("qemu-aarch64", "aarch64", &sound(), "F").ask("aarch64", Some(Ran::Not));
    masked.holds("kernel.instance", FAIL, &["hides them", "mount -t", "binfmtd register"]);
    masked.holds("rule.present", PASS, &["taken by qemu-aarch64"]);
    // What else the kernel says "exec format error" to.
    masked.seen.instance.enabled = false;
    masked.holds("kernel.instance", PASS, &[]);
    masked.seen.instance.enabled = true;
    masked.seen.instance.entries[0].enabled = false;
    masked.holds("kernel.instance", PASS, &[]);
    masked.seen.instance.entries[0].enabled = true;
    masked.seen.instance.entries[0].interpreter = "/etc/passwd".into();
    masked.holds("kernel.instance", PASS, &[]);
    masked.seen.instance.entries[0].interpreter = sound();
    // One rule works: it is this instance that is asked.
    masked.plant("qemu-s390x", "s390x", &sound(), "F").ask("s390x", Some(Ran::Well));
    masked.holds("kernel.instance", PASS, &[]);
    masked.targets.pop();
    masked.holds("kernel.instance", FAIL, &[]);
    masked.first_namespace = true;
    masked.holds("kernel.instance", PASS, &[]);
}

#[test]
fn rules_that_go_with_a_container() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.holds("kernel.lifetime", PASS, &["the host's mount"]);
    host.container = true;
    host.holds("kernel.lifetime", PASS, &["older than this container"]);
    host.may_be_the_containers_own = true;
    host.holds("kernel.lifetime", WARN, &["after this container started", "on the host: mount"]);
    host.service = Some(State { only_here: true, ..state() });
    host.holds("kernel.lifetime", WARN, &["when it ends"]);
    host.first_stack = Some(vec!["autofs".to_owned()]);
    host.holds("kernel.lifetime", WARN, &["vanish with the container", "/proc/1/mountinfo"]);
    host.first_namespace = false;
    host.holds("kernel.lifetime", SKIP, &["user namespace"]);
    host.trouble = Some(InstanceError::NotMounted);
    host.holds("kernel.lifetime", SKIP, &["no instance"]);
}

#[test]
fn rules_near_their_limit() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.holds("kernel.limit", PASS, &["does not limit"]);
    host.plant("qemu-arm", "arm", &sound(), "F").plant("qemu-s390x", "s390x", &sound(), "F");
    host.limits.interpreters = Some(4);
    host.holds("kernel.limit", PASS, &["2 rules of 4"]);
    host.limits.interpreters = Some(3);
    host.holds("kernel.limit", WARN, &["at most 3", "max_binfmt_misc_interpreters=64"]);
    host.limits.interpreters = Some(0);
    host.holds("kernel.limit", WARN, &[]);
    host.trouble = Some(InstanceError::NotMounted);
    host.holds("kernel.limit", SKIP, &[]);
}

#[test]
fn pages_of_other_sizes_matter_where_something_is_emulated() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.holds("kernel.page-size", PASS, &["4 KiB"]);
    host.limits.page_size = 65536;
    host.holds("kernel.page-size", SKIP, &["64 KiB"]);
    host.ask("x86_64", Some(Ran::Well));
    host.holds("kernel.page-size", SKIP, &[]);
    host.ask("aarch64", Some(Ran::Well));
    host.holds("kernel.page-size", WARN, &["64 KiB", "getconf PAGE_SIZE", "4 KiB"]);
}

#[test]
fn little_room_matters_to_32_bit_targets() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.limits.address_space = Some(2_000_000_000);
    host.ask("aarch64", Some(Ran::Badly));
    host.holds("kernel.address-space", SKIP, &["no 32-bit target"]);
    host.ask("arm", Some(Ran::Not));
    host.holds("kernel.address-space", WARN, &["2000000000", "arm", "prlimit --as=unlimited"]);
    host.limits.address_space = None;
    host.holds("kernel.address-space", PASS, &["RLIMIT_AS unlimited"]);
    host.limits.lowest_address = Some(1 << 20);
    host.holds("kernel.address-space", WARN, &["vm.mmap_min_addr", "sysctl -w"]);
    // What was run tells more than a limit does.
    host.targets[1].proof = Some(proof(Ran::Well));
    host.holds("kernel.address-space", PASS, &["run nevertheless"]);
    host.targets[1].proof = Some(proof(Ran::Badly));
    host.holds("kernel.address-space", SKIP, &["checks of each"]);
}

#[test]
fn a_sandbox_of_this_process_is_no_fault_of_the_host() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.limits.no_written_code = true;
    host.holds("kernel.written-code", SKIP, &["nothing is emulated"]);
    host.ask("aarch64", Some(Ran::Not));
    host.holds("kernel.written-code", Status::Error, &["PR_GET_MDWE", "systemd-run"]);
    host.targets[0].proof = Some(proof(Ran::Badly));
    host.holds("kernel.written-code", SKIP, &["checks of each target"]);
    host.targets[0].proof = Some(proof(Ran::Well));
    host.holds("kernel.written-code", PASS, &["run nevertheless"]);
}
