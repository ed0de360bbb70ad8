//! Two generations compared: what one has that the other has not, and how they differ in what both have. It says nothing of
//! what is on the host.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::model::{
    Blob, Content, Digest, Entry, FieldChange, FileSpec, HostText, Receipt, ResourceId, Spec, TextChange,
};
use crate::wire::limits::DIFF_TEXT_BYTES;

/// What a resource is to the later of two generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differs {
    /// Only the later one has it.
    Added,
    /// Only the earlier one has it.
    Removed,
    /// Both have it, differently.
    Changed,
}

/// One resource in which two generations differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The resource.
    pub id: ResourceId,
    /// What it is to the later one.
    pub differs: Differs,
    /// The attributes that differ; of one that only one generation has, all.
    pub fields: Vec<FieldChange>,
    /// How its text differs.
    pub text: Option<TextChange>,
}

/// The contents that the host must send for [`compare`] to show texts.
#[must_use]
pub fn contents(from: Option<&Receipt>, to: Option<&Receipt>) -> BTreeSet<Digest> {
    let all = differing(from, to);
    all.flat_map(|(_, from, to)| [file(from), file(to)])
        .flatten()
        .filter(|spec| spec.is_shown() && spec.content.size <= DIFF_TEXT_BYTES)
        .map(|spec| spec.content.sha256)
        .collect()
}

/// Compares two generations; `None` is the host before the first one. `kept` are the contents that the host sent.
#[must_use]
pub fn compare(from: Option<&Receipt>, to: Option<&Receipt>, kept: &BTreeMap<Digest, Blob>) -> Vec<Comparison> {
    differing(from, to)
        .map(|(id, from, to)| Comparison {
            id: id.clone(),
            differs: match (from, to) {
                (None, _) => Differs::Added,
                (_, None) => Differs::Removed,
                (Some(_), Some(_)) => Differs::Changed,
            },
            fields: fields(from, to),
            text: text(file(from), file(to), kept),
        })
        .collect()
}

/// The resources that are not the same in both, in order.
fn differing<'a>(
    from: Option<&'a Receipt>,
    to: Option<&'a Receipt>,
) -> impl Iterator<Item = (&'a ResourceId, Option<&'a Entry>, Option<&'a Entry>)> {
    let ids: BTreeSet<_> = from
        .into_iter()
        .chain(to)
        .flat_map(|receipt| receipt.entries.keys())
        .collect();
    let of = |receipt: Option<&'a Receipt>, id| receipt.and_then(|receipt| receipt.entries.get(id));
    let said = |entry: Option<&'a Entry>| entry.map(|entry| (&entry.spec, entry.on_removal));
    ids.into_iter()
        .map(move |id| (id, of(from, id), of(to, id)))
        .filter(move |(_, from, to)| said(*from) != said(*to))
}

fn file(entry: Option<&Entry>) -> Option<&FileSpec> {
    match &entry?.spec {
        Spec::File(spec) => Some(spec),
        _ => None,
    }
}

fn fields(from: Option<&Entry>, to: Option<&Entry>) -> Vec<FieldChange> {
    let (before, after) = (attributes(from), attributes(to));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| FieldChange {
            field: name.clone(),
            before: before.get(name).map(|value| HostText::new(value.as_str())),
            after: after.get(name).cloned(),
        })
        .collect()
}

/// What an entry says of its resource, by attribute, but for its name.
fn attributes(entry: Option<&Entry>) -> BTreeMap<String, String> {
    let Some(entry) = entry else { return BTreeMap::new() };
    let spec = match serde_json::to_value(&entry.spec) {
        // A spec is a map of its kind's name to its fields.
        Ok(Value::Object(kinds)) => kinds.into_iter().next().map(|(_, fields)| fields),
        _ => None,
    };
    let mut fields = match spec {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    fields.retain(|name, _| !matches!(name.as_str(), "name" | "path" | "key"));
    let mut shown: BTreeMap<_, _> = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.clone(), told(&name, value)?)))
        .collect();
    if let Spec::File(spec) = &entry.spec {
        let Content { sha256, size } = spec.content;
        shown.insert("content".to_owned(), format!("{size} bytes, sha256 {}", sha256.short()));
    }
    if !entry.on_removal.is_default() {
        shown.insert("on_removal".to_owned(), entry.on_removal.to_string());
    }
    shown
}

/// A value as it is shown; what is not said is not shown either.
fn told(name: &str, value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(false) if matches!(name, "sensitive" | "private" | "system" | "seed") => None,
        Value::String(text) => Some(text),
        Value::Array(items) if items.is_empty() => None,
        Value::Object(fields) if fields.is_empty() => None,
        other => Some(other.to_string()),
    }
}

fn text(from: Option<&FileSpec>, to: Option<&FileSpec>, kept: &BTreeMap<Digest, Blob>) -> Option<TextChange> {
    let either = [from, to].into_iter().flatten();
    if from.map(|spec| spec.content) == to.map(|spec| spec.content) {
        return None;
    }
    let hidden = |why: &str| Some(TextChange::Hidden(why.to_owned()));
    if let Some(why) = either.clone().find_map(super::path::not_shown) {
        return hidden(why);
    }
    if either.clone().any(|spec| spec.content.size > DIFF_TEXT_BYTES) {
        return hidden("too long");
    }
    let side = |spec: Option<&FileSpec>| match spec {
        None => Ok(""),
        Some(spec) => match kept.get(&spec.content.sha256) {
            None => Err("not kept on the host"),
            Some(blob) => std::str::from_utf8(blob.bytes()).map_err(|_| "binary"),
        },
    };
    match (side(from), side(to)) {
        (Ok(before), Ok(after)) => Some(TextChange::Text {
            before: HostText::new(before),
            after: after.to_owned(),
        }),
        (Err(why), _) | (_, Err(why)) => hidden(why),
    }
}
