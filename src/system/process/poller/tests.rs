use std::io::Write as _;
use std::os::fd::AsFd as _;

use super::*;

#[test]
fn a_deadline_and_a_descriptor_are_told_apart() {
    let mut poller = Poller::new().unwrap();
    let (reader, mut writer) = io::pipe().unwrap();
    poller.add(reader.as_fd(), 7).unwrap();
    writer.write_all(b"x").unwrap();
    let far = Instant::now() + Duration::from_secs(3600);
    assert_eq!(poller.wait(Some(far)).unwrap(), [Ready::Descriptor(7)]);
    let past = Instant::now();
    let mut seen = poller.wait(Some(past)).unwrap();
    while !seen.contains(&Ready::Deadline) {
        seen.extend(poller.wait(Some(past)).unwrap());
    }
}
