//! Which hosts and units use which secrets, as the configuration says. It asks no store and no host.

use std::collections::BTreeMap;

use provision_core::model::{Desired, Kind, SecretContent, SecretItem, SecretPart, SecretSpec, Spec};

/// One use of a value on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use<'a> {
    /// The name of the value in the configuration.
    pub(super) name: &'a str,
    /// Where it is kept.
    pub(super) item: &'a SecretItem,
    /// The secret whose file has it.
    pub(super) secret: &'a SecretSpec,
}

/// All uses on a host, in the order of the secrets' names.
pub(super) fn uses(desired: &Desired) -> Vec<Use<'_>> {
    let mut all = Vec::new();
    for resource in desired.resources.values() {
        let Spec::Secret(secret) = &resource.spec else { continue };
        match &secret.content {
            SecretContent::Value(value) => all.push(Use {
                name: &secret.name,
                item: &value.item,
                secret,
            }),
            SecretContent::Rendered(parts) => {
                let mut named: BTreeMap<&str, &SecretItem> = BTreeMap::new();
                for part in parts {
                    if let SecretPart::Secret { name, value, .. } = part {
                        named.insert(name, &value.item);
                    }
                }
                all.extend(named.into_iter().map(|(name, item)| Use { name, item, secret }));
            }
        }
    }
    all
}

/// The units that a change of a secret's file restarts or reloads.
pub(super) fn units<'a>(desired: &'a Desired, secret: &SecretSpec) -> Vec<&'a str> {
    let units = desired.resources.iter().filter(|(id, resource)| {
        let uses = |on: &provision_core::model::Dependency| {
            on.reason.triggers() && on.on.kind == Kind::Secret && on.on.name == secret.name
        };
        id.kind == Kind::Unit && resource.depends.iter().any(uses)
    });
    units.map(|(id, _)| id.name.as_str()).collect()
}
