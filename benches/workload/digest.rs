//! What a host is, in so far as the workload says: the text by which two hosts are compared. It says nothing of how they came there.

/// For `ssh HOST bash -s`, on its standard input. Prints one line per fact.
///
/// The file of sysctls is compared by what systemd-sysctl reads in it: tools write `key=value` with and without spaces, and comments.
pub(crate) const DIGEST: &str = r#"
set -eu
export LC_ALL=C
find /srv/bench -printf '%p %y %U:%G %m %l\n' | sort
find /srv/bench /etc/systemd/system/bench*.service -type f -exec sha256sum {} + | sort
stat --format='%n %u:%g %a' /etc/systemd/system/bench*.service /etc/sysctl.d/60-bench.conf /home/bench*
grep '^bench' /etc/passwd /etc/group
sed 's/[[:space:]]//g; /^#/d; /^$/d' /etc/sysctl.d/60-bench.conf | sort
sed 's/[[:space:]]//g; /^#/d; /^$/d' /etc/sysctl.d/60-bench.conf | cut -d= -f1 | xargs sysctl
systemctl show --property=Id,ActiveState,SubState,UnitFileState,NeedDaemonReload 'bench*.service' | sort
dpkg-query --show --showformat='${Package} ${Version} ${Status}\n'
"#;
