//! What `provision init` begins, on a real host at once: the first thing that anyone tries.

use std::process::Command;

use crate::lab::PROVISION;

#[test]
fn a_new_project_can_be_rehearsed_at_once() {
    let place = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output = Command::new(PROVISION)
            .current_dir(place.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", place.path())
            .args(args)
            .output()
            .unwrap();
        let told = format!(
            "{args:?}: {}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{told}");
        told
    };
    let _ = run(&["init", "fleet"]);
    let told = run(&["rehearse", "example", "-C", "fleet"]);
    // The probe that the skeleton's service has to pass, and the drift that the rehearsal makes and heals.
    for seen in ["heartbeat.service", "drift"] {
        assert!(told.contains(seen), "no {seen}: {told}");
    }
}
