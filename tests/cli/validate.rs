//! A strict validator for the part of JSON Schema (2020-12) that the schemas are written in. A keyword that it does not
//! know fails the test, so that nothing in a schema can be there without being tried.

use std::fmt::Write as _;

use regex_lite::Regex;
use serde_json::Value;

/// Everything in `value` that `schema` refuses, each with its place.
pub(crate) fn refusals(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let keywords = match schema {
        Value::Bool(true) => return,
        Value::Bool(false) => {
            found.push(format!("{at}: nothing may be here"));
            return;
        }
        Value::Object(keywords) => keywords,
        other => panic!("{other} is no schema"),
    };
    let mut refuse = |why: String| found.push(format!("{at}: {why}"));
    for (keyword, wanted) in keywords {
        match keyword.as_str() {
            // What is for people.
            "$schema" | "title" | "description" | "default" | "examples" | "deprecated" | "$defs" => {}
            "type" => {
                let types = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                if !types.iter().any(|ty| is(value, ty.as_str().unwrap())) {
                    refuse(format!("{value} is no {wanted}"));
                }
            }
            "enum" => {
                if !wanted.as_array().unwrap().contains(value) {
                    refuse(format!("{value} is none of {wanted}"));
                }
            }
            "pattern" => {
                let pattern = Regex::new(wanted.as_str().unwrap()).unwrap();
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    refuse(format!("{value} does not match {wanted}"));
                }
            }
            "minimum" => {
                if value.as_f64().is_some_and(|number| number < wanted.as_f64().unwrap()) {
                    refuse(format!("{value} is less than {wanted}"));
                }
            }
            "maximum" => {
                if value.as_f64().is_some_and(|number| number > wanted.as_f64().unwrap()) {
                    refuse(format!("{value} is more than {wanted}"));
                }
            }
            "minItems" => {
                if value
                    .as_array()
                    .is_some_and(|items| (items.len() as u64) < wanted.as_u64().unwrap())
                {
                    refuse(format!("{value} has less than {wanted} items"));
                }
            }
            "required" => {
                for key in wanted.as_array().unwrap() {
                    if value
                        .as_object()
                        .is_some_and(|table| !table.contains_key(key.as_str().unwrap()))
                    {
                        refuse(format!("{key} is missing"));
                    }
                }
            }
            // Looked at below, where the places are known.
            "items" | "properties" | "additionalProperties" | "propertyNames" | "anyOf" | "$ref" => {}
            unknown => panic!("the validator does not know {unknown}"),
        }
    }
    if let (Some(items), Some(list)) = (keywords.get("items"), value.as_array()) {
        for (number, item) in list.iter().enumerate() {
            check(root, items, item, &format!("{at}[{number}]"), found);
        }
    }
    if let Some(table) = value.as_object() {
        for (key, inner) in table {
            let place = format!("{at}.{key}");
            if let Some(names) = keywords.get("propertyNames") {
                check(root, names, &Value::from(key.as_str()), &place, found);
            }
            let own = keywords.get("properties").and_then(|properties| properties.get(key));
            if let Some(schema) = own.or(keywords.get("additionalProperties")) {
                check(root, schema, inner, &place, found);
            }
        }
    }
    if let Some(choices) = keywords.get("anyOf") {
        let mut all = String::new();
        let fits = choices.as_array().unwrap().iter().any(|choice| {
            let mut inside = Vec::new();
            check(root, choice, value, at, &mut inside);
            write!(all, "({}) ", inside.join("; ")).unwrap();
            inside.is_empty()
        });
        if !fits {
            found.push(format!("{at}: fits nothing of {all}"));
        }
    }
    if let Some(reference) = keywords.get("$ref") {
        let name = reference.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
        check(root, &root["$defs"][name], value, at, found);
    }
}

fn is(value: &Value, ty: &str) -> bool {
    match ty {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        unknown => panic!("there is no type {unknown}"),
    }
}

#[test]
fn the_validator_refuses() {
    let schema = serde_json::json!({
        "type": "object", "additionalProperties": false, "required": ["a"],
        "properties": { "a": { "anyOf": [{ "type": "integer", "minimum": 2, "maximum": 3 }, { "$ref": "#/$defs/t" }] },
                        "b": { "type": "array", "minItems": 1, "items": { "enum": ["x"] } } },
        "$defs": { "t": { "type": "string", "pattern": "^[{]" } },
    });
    for (value, refused) in [
        (serde_json::json!({ "a": 2, "b": ["x"] }), false),
        (serde_json::json!({ "a": "{{" }), false),
        (serde_json::json!({ "a": 1 }), true),
        (serde_json::json!({ "a": 4 }), true),
        (serde_json::json!({ "a": 2.5 }), true),
        (serde_json::json!({ "a": "x" }), true),
        (serde_json::json!({ "a": 2, "b": [] }), true),
        (serde_json::json!({ "a": 2, "b": ["y"] }), true),
        (serde_json::json!({ "a": 2, "c": 1 }), true),
        (serde_json::json!({}), true),
        (serde_json::json!([]), true),
    ] {
        assert_eq!(!refusals(&schema, &value).is_empty(), refused, "{value}");
    }
}
