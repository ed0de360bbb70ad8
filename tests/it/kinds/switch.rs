//! Lingering users and kernel modules on a real host. Holds are with packages.

use crate::lab::{Lab, moved};

#[test]
fn a_user_lingers_until_that_leaves_the_configuration_and_can_then_be_deleted() {
    let lab = Lab::new();
    let user = "[users.bot]\nhome = \"/home/bot\"\n";
    let body = format!("{user}[linger]\nbot = true\n");
    lab.converge(&body);
    let look = "loginctl show-user bot -P Linger; systemctl is-active user@$(id -u bot).service";
    assert_eq!(lab.on_host(look), "yes\nactive");
    lab.on_host("loginctl disable-linger bot");
    assert_eq!(lab.drift(), moved(&[("linger:bot", "host")]));
    lab.converge(&body);
    assert_eq!(lab.on_host(look), "yes\nactive");
    // Declared off; then on again, and gone with its user, whose own manager would keep it from being deleted.
    lab.converge(&format!("{user}[linger]\nbot = false\n"));
    lab.on_host("test ! -e /var/lib/systemd/linger/bot; ! systemctl is-active --quiet user@$(id -u bot).service");
    lab.converge(&body);
    lab.converge("");
    lab.on_host("! getent passwd bot; test ! -e /var/lib/systemd/linger/bot");
}

#[test]
fn a_kernel_module_counts_when_it_is_loaded_or_built_in_and_is_loaded_at_boot() {
    let lab = Lab::new();
    // The kernel is the machine's; a list of what is built into it stands for one that has more.
    lab.on_host(
        "mkdir -p /lib/modules/$(uname -r); echo kernel/net/built-in.ko >> /lib/modules/$(uname -r)/modules.builtin",
    );
    lab.converge("[kernel_modules]\nbuilt_in = true\n");
    assert_eq!(lab.on_host("cat /etc/modules-load.d/built_in.conf"), "built_in");
    let refused = lab.apply("[kernel_modules]\nno_such_module = true\n").expect(3);
    assert!(refused.told().contains("modprobe"), "{}", refused.told());
    lab.declare("[kernel_modules]\nno_such_module = true\n");
    assert_eq!(
        lab.planned("kernel-module:no_such_module")["fields"][0]["before"],
        "not loaded"
    );
    lab.converge("");
    lab.on_host("test ! -e /etc/modules-load.d/built_in.conf; test ! -e /etc/modules-load.d/no_such_module.conf");
}
