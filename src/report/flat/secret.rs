//! Secrets written out: where each value is kept, and texts with the templates that stand for values. It knows no value.

use std::collections::BTreeMap;

use provision_core::model::{
    Desired, Kind, ResourceId, SecretContent, SecretItem, SecretPart, SecretSource, SecretSpec, SecretValueRef, Spec,
};
use serde_json::{Map, Value, json};

/// Around what stays a template in a text. Of the private use area: no text means anything by them.
pub(super) const OPEN: char = '\u{f0000}';
pub(super) const CLOSE: char = '\u{f0001}';

/// Where a host's secrets lie and what becomes of them, where it has any.
pub(super) fn settings(desired: &Desired, host: &mut Map<String, Value>) {
    if let Some(secret) = secrets(desired).next() {
        host.insert("secrets_directory".to_owned(), json!(secret.directory));
        host.insert("secrets_after_reboot".to_owned(), json!(secret.after_reboot));
    }
}

fn secrets(desired: &Desired) -> impl Iterator<Item = &SecretSpec> {
    desired.resources.values().filter_map(|resource| match &resource.spec {
        Spec::Secret(secret) => Some(secret),
        _ => None,
    })
}

/// The secrets that have no file and that texts of others have in them.
pub(super) fn only_in_texts(desired: &Desired) -> BTreeMap<&str, &SecretValueRef> {
    let mut all = BTreeMap::new();
    for secret in secrets(desired) {
        let SecretContent::Rendered(parts) = &secret.content else {
            continue;
        };
        for part in parts {
            if let SecretPart::Secret { name, value, .. } = part
                && !desired
                    .resources
                    .contains_key(&ResourceId::new(Kind::Secret, name.as_str()))
            {
                all.insert(name.as_str(), value);
            }
        }
    }
    all
}

pub(super) fn content(secret: &SecretSpec, put: &mut dyn FnMut(&str, Value)) {
    match &secret.content {
        SecretContent::Value(value) => {
            item(&value.item, put);
            put("trim", json!(value.trim));
        }
        SecretContent::Rendered(parts) => {
            let parts = parts.iter().map(|part| match part {
                SecretPart::Text(text) => text.clone(),
                SecretPart::Secret { name, encoding, .. } => {
                    let encoding = encoding.name();
                    format!("{OPEN}secret(name='{name}', as='{encoding}'){CLOSE}")
                }
            });
            put("text", json!(parts.collect::<String>()));
        }
    }
}

pub(super) fn item(item: &SecretItem, put: &mut dyn FnMut(&str, Value)) {
    match &item.source {
        SecretSource::Project { .. } => {}
        SecretSource::Aws { id, stage, region } => {
            put("aws", json!(id));
            put("stage", json!(stage));
            put("region", json!(region));
        }
        SecretSource::Age { name } => put("age", json!(name)),
        SecretSource::Command { argv } => put("command", json!(argv)),
        SecretSource::Environment { variable } => put("env", json!(variable)),
    }
    put("key", json!(item.key));
}
