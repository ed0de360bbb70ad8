//! JSON held against a JSON Schema: the keywords of draft 7 (<https://json-schema.org/draft-07>) that schemas of
//! configurations use. It fetches nothing, and a keyword that it does not know makes the schema useless, not the document good.
//!
//! `errorMessage`, as of ajv-errors, is what is said where the schema beside it does not hold: a line that says what is
//! wrong, and one that says what to write.

use std::collections::BTreeSet;

use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::config::{did_you_mean, shown};

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Where in the document, such as `gateway.auth.mode`; empty for all of it.
    pub(super) path: String,
    /// What is wrong there.
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: Option<String>,
}

/// Keywords that say nothing about what fits.
const NOTES: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "deprecated",
    "readOnly",
    "writeOnly",
    "errorMessage",
];

/// How many schemas are held against values in all: schemas that refer to each other could go on for ever.
const BUDGET: u32 = 500_000;

/// How deep a schema may lead into itself.
const DEPTH: usize = 64;

/// What of a document does not fit its schema.
///
/// # Errors
/// Where the schema itself cannot be followed, in words.
pub(super) fn flaws(schema: &Value, document: &Value) -> Result<Vec<Flaw>, String> {
    let mut check = Check {
        root: schema,
        budget: BUDGET,
        path: Vec::new(),
        depth: 0,
    };
    check.value(schema, document)
}

struct Check<'a> {
    root: &'a Value,
    budget: u32,
    path: Vec<String>,
    depth: usize,
}

type Flaws = Result<Vec<Flaw>, String>;

impl<'a> Check<'a> {
    fn flaw(&self, message: impl Into<String>) -> Flaw {
        Flaw {
            path: self.path.join("."),
            message: message.into(),
            help: None,
        }
    }

    fn within(&mut self, part: impl Into<String>, schema: &'a Value, value: &Value) -> Flaws {
        self.path.push(part.into());
        let found = self.value(schema, value);
        self.path.pop();
        found
    }

    fn value(&mut self, schema: &'a Value, value: &Value) -> Flaws {
        self.budget = self.budget.checked_sub(1).ok_or("it takes too long to follow")?;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("it leads into itself without an end".to_owned());
        }
        let found = match schema {
            Value::Bool(true) => Vec::new(),
            Value::Bool(false) => vec![self.flaw("must not be here")],
            Value::Object(object) => {
                let found = self.object(object, value)?;
                match object.get("errorMessage").and_then(Value::as_str) {
                    Some(message) if !found.is_empty() => vec![self.said(message)],
                    _ => found,
                }
            }
            _ => return Err("a schema is an object, true or false".to_owned()),
        };
        self.depth -= 1;
        Ok(found)
    }

    fn said(&self, message: &str) -> Flaw {
        let (message, help) = message.split_once('\n').unwrap_or((message, ""));
        Flaw {
            help: (!help.is_empty()).then(|| help.trim().to_owned()),
            ..self.flaw(message)
        }
    }

    fn object(&mut self, schema: &'a Map<String, Value>, value: &Value) -> Flaws {
        let mut found = Vec::new();
        for (keyword, says) in schema {
            found.extend(self.keyword(schema, keyword, says, value)?);
        }
        Ok(found)
    }

    fn keyword(&mut self, schema: &'a Map<String, Value>, keyword: &str, says: &'a Value, value: &Value) -> Flaws {
        let one = |flaw: Option<Flaw>| Ok(flaw.into_iter().collect());
        match keyword {
            "$ref" => {
                let target = says.as_str().and_then(|says| says.strip_prefix('#'));
                let target = target.and_then(|target| self.root.pointer(target));
                let target = target.ok_or_else(|| format!("it refers to {says}, which is not in it"))?;
                self.value(target, value)
            }
            "type" => one(self.types(says, value)),
            "enum" => {
                let allowed = says.as_array().ok_or("`enum` is a list")?;
                one((!allowed.contains(value)).then(|| self.not_among(allowed, value)))
            }
            "const" => one((says != value).then(|| self.flaw(format!("must be {says}, and is {value}")))),
            "properties"
            | "patternProperties"
            | "additionalProperties"
            | "required"
            | "propertyNames"
            | "minProperties"
            | "maxProperties" => match value {
                Value::Object(members) => self.members(schema, keyword, says, members),
                _ => Ok(Vec::new()),
            },
            "items" | "additionalItems" | "minItems" | "maxItems" | "uniqueItems" => match value {
                Value::Array(items) => self.items(schema, keyword, says, items),
                _ => Ok(Vec::new()),
            },
            "minLength" | "maxLength" | "pattern" => match value {
                Value::String(text) => Ok(self.text(keyword, says, text)?.into_iter().collect()),
                _ => Ok(Vec::new()),
            },
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                Ok(self.number(keyword, says, value)?.into_iter().collect())
            }
            "allOf" | "anyOf" | "oneOf" => self.several(keyword, says, value),
            "not" => {
                let fits = self.value(says, value)?.is_empty();
                one(fits.then(|| self.flaw("is what must not be here")))
            }
            "if" => {
                let branch = if self.value(says, value)?.is_empty() {
                    "then"
                } else {
                    "else"
                };
                schema
                    .get(branch)
                    .map_or(Ok(Vec::new()), |schema| self.value(schema, value))
            }
            "then" | "else" => Ok(Vec::new()),
            keyword if NOTES.contains(&keyword) => Ok(Vec::new()),
            other => Err(format!("its keyword `{}` is not known here", shown(other))),
        }
    }

    fn types(&self, says: &Value, value: &Value) -> Option<Flaw> {
        let is = |name: &Value| match name.as_str() {
            Some("integer") => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
            }
            Some("number") => value.is_number(),
            Some(name) => name == type_of(value),
            None => false,
        };
        let (fits, wanted) = match says {
            Value::Array(names) => (
                names.iter().any(is),
                names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
            ),
            name => (is(name), name.as_str().unwrap_or_default().to_owned()),
        };
        (!fits).then(|| self.flaw(format!("must be of type {wanted}, and is of type {}", type_of(value))))
    }

    fn not_among(&self, allowed: &[Value], value: &Value) -> Flaw {
        let words: Vec<_> = allowed.iter().map(Value::to_string).collect();
        let meant = value
            .as_str()
            .and_then(|value| did_you_mean(value, allowed.iter().filter_map(Value::as_str)));
        Flaw {
            help: meant,
            ..self.flaw(format!("must be one of {}, and is {value}", words.join(", ")))
        }
    }

    fn members(
        &mut self,
        schema: &'a Map<String, Value>,
        keyword: &str,
        says: &'a Value,
        members: &Map<String, Value>,
    ) -> Flaws {
        let mut found = Vec::new();
        match keyword {
            "properties" => {
                let known = says.as_object().ok_or("`properties` is an object")?;
                for (name, schema) in known {
                    if let Some(value) = members.get(name) {
                        found.extend(self.within(name, schema, value)?);
                    }
                }
            }
            "patternProperties" => {
                for (pattern, schema) in says.as_object().ok_or("`patternProperties` is an object")? {
                    let pattern = compiled(pattern)?;
                    for (name, value) in members.iter().filter(|(name, _)| pattern.is_match(name)) {
                        found.extend(self.within(name, schema, value)?);
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let patterns = schema.get("patternProperties").and_then(Value::as_object);
                let patterns = patterns
                    .into_iter()
                    .flat_map(Map::keys)
                    .map(|pattern| compiled(pattern));
                let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
                for (name, value) in members {
                    let is_known = known.is_some_and(|known| known.contains_key(name));
                    if is_known || patterns.iter().any(|pattern| pattern.is_match(name)) {
                        continue;
                    }
                    if *says == Value::Bool(false) {
                        let names = known.into_iter().flat_map(Map::keys).map(String::as_str);
                        let help = did_you_mean(name, names.clone()).unwrap_or_else(|| known_instead(names));
                        self.path.push(name.clone());
                        let flaw = self.flaw("is no key that is known here");
                        self.path.pop();
                        let help = Some(help);
                        found.push(Flaw { help, ..flaw });
                    } else {
                        found.extend(self.within(name, says, value)?);
                    }
                }
            }
            "required" => {
                let names = says.as_array().into_iter().flatten().filter_map(Value::as_str);
                let missing = names.filter(|name| !members.contains_key(*name));
                found.extend(missing.map(|name| self.flaw(format!("has no `{name}`, which has to be there"))));
            }
            "propertyNames" => {
                for name in members.keys() {
                    found.extend(self.within(name, says, &Value::String(name.clone()))?);
                }
            }
            "minProperties" => {
                let least = count(says)?;
                found.extend((members.len() < least).then(|| self.flaw(format!("must have {least} keys or more"))));
            }
            _ => {
                let most = count(says)?;
                found.extend((members.len() > most).then(|| self.flaw(format!("must have {most} keys or fewer"))));
            }
        }
        Ok(found)
    }

    fn items(&mut self, schema: &'a Map<String, Value>, keyword: &str, says: &'a Value, items: &[Value]) -> Flaws {
        let mut found = Vec::new();
        match keyword {
            "items" => {
                for (index, item) in items.iter().enumerate() {
                    let schema = match says {
                        Value::Array(schemas) => match schemas.get(index).or_else(|| schema.get("additionalItems")) {
                            Some(schema) => schema,
                            None => break,
                        },
                        schema => schema,
                    };
                    found.extend(self.within(index.to_string(), schema, item)?);
                }
            }
            // Beside `items`, which looks at it.
            "additionalItems" => {}
            "minItems" => {
                let least = count(says)?;
                found.extend((items.len() < least).then(|| self.flaw(format!("must have {least} items or more"))));
            }
            "maxItems" => {
                let most = count(says)?;
                found.extend((items.len() > most).then(|| self.flaw(format!("must have {most} items or fewer"))));
            }
            _ => {
                let different: BTreeSet<_> = items.iter().map(Value::to_string).collect();
                let twice = *says == Value::Bool(true) && different.len() < items.len();
                found.extend(twice.then(|| self.flaw("has an item twice")));
            }
        }
        Ok(found)
    }

    fn text(&self, keyword: &str, says: &Value, text: &str) -> Result<Option<Flaw>, String> {
        let length = text.chars().count();
        let (fits, wanted) = match keyword {
            "minLength" => (length >= count(says)?, format!("must have {says} characters or more")),
            "maxLength" => (length <= count(says)?, format!("must have {says} characters or fewer")),
            _ => {
                let pattern = says.as_str().ok_or("`pattern` is a text")?;
                (
                    compiled(pattern)?.is_match(text),
                    format!("must fit the pattern {pattern}"),
                )
            }
        };
        Ok((!fits).then(|| self.flaw(wanted)))
    }

    fn number(&self, keyword: &str, says: &Value, value: &Value) -> Result<Option<Flaw>, String> {
        let bound = says.as_f64().ok_or_else(|| format!("`{keyword}` is a number"))?;
        let Some(number) = value.as_f64() else { return Ok(None) };
        let (fits, words) = match keyword {
            "minimum" => (number >= bound, "at least"),
            "maximum" => (number <= bound, "at most"),
            "exclusiveMinimum" => (number > bound, "more than"),
            _ => (number < bound, "less than"),
        };
        Ok((!fits).then(|| self.flaw(format!("must be {words} {says}, and is {value}"))))
    }

    fn several(&mut self, keyword: &str, says: &'a Value, value: &Value) -> Flaws {
        let schemas = says.as_array().ok_or_else(|| format!("`{keyword}` is a list"))?;
        let mut all = Vec::new();
        for schema in schemas {
            all.push(self.value(schema, value)?);
        }
        let fitting = all.iter().filter(|flaws| flaws.is_empty()).count();
        Ok(match keyword {
            "allOf" => all.into_iter().flatten().collect(),
            "oneOf" if fitting > 1 => vec![self.flaw("fits several of the forms that it may have, and must fit one")],
            _ if fitting > 0 => Vec::new(),
            // The form that it comes nearest to is the one that was meant.
            _ => {
                let depth = |flaws: &Vec<Flaw>| flaws.iter().map(|flaw| flaw.path.len()).max();
                let nearest = all.into_iter().max_by_key(depth).unwrap_or_default();
                if nearest.iter().all(|flaw| flaw.path == self.path.join(".")) {
                    vec![self.flaw(format!(
                        "has none of the forms that it may have, and is of type {}",
                        type_of(value)
                    ))]
                } else {
                    nearest
                }
            }
        })
    }
}

/// How many keys a help lists.
const LISTED: usize = 12;

fn known_instead<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.collect();
    match names.len() {
        0 => "remove it: no key is known here".to_owned(),
        count if count <= LISTED => format!("remove it, or write one of {}", names.join(", ")),
        _ => "remove it, or look its name up in what documents this version".to_owned(),
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|_| format!("its pattern `{}` cannot be read here", shown(pattern)))
}

fn count(says: &Value) -> Result<usize, String> {
    let count = says.as_u64().and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| format!("{says} is no number of items"))
}

const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(schema: &Value, document: &Value) -> Vec<String> {
        let told = |flaw: Flaw| match flaw.help {
            Some(help) => format!("{}: {} ({help})", flaw.path, flaw.message),
            None => format!("{}: {}", flaw.path, flaw.message),
        };
        flaws(schema, document).unwrap().into_iter().map(told).collect()
    }

    #[test]
    fn every_keyword_lets_through_what_fits_and_tells_what_does_not() {
        for (schema, good, bad, words) in [
            (
                json!({"type": "integer"}),
                json!(3.0),
                json!(3.5),
                "must be of type integer, and is of type number",
            ),
            (
                json!({"type": ["string", "null"]}),
                json!(null),
                json!(1),
                "of type string or null",
            ),
            (
                json!({"enum": ["a", "b"]}),
                json!("a"),
                json!("c"),
                "must be one of \"a\", \"b\", and is \"c\"",
            ),
            (json!({"const": 1}), json!(1), json!(2), "must be 1, and is 2"),
            (json!({"minimum": 2}), json!(2), json!(1), "at least 2"),
            (json!({"exclusiveMaximum": 2}), json!(1), json!(2), "less than 2"),
            (
                json!({"pattern": "^a+$"}),
                json!("aa"),
                json!("b"),
                "must fit the pattern ^a+$",
            ),
            (
                json!({"maxLength": 2}),
                json!("ää"),
                json!("abc"),
                "2 characters or fewer",
            ),
            (
                json!({"items": {"type": "string"}}),
                json!(["a"]),
                json!(["a", 1]),
                "1: must be of type string",
            ),
            (
                json!({"items": [true, {"const": 1}]}),
                json!([0, 1, 2]),
                json!([0, 0]),
                "1: must be 1",
            ),
            (
                json!({"uniqueItems": true}),
                json!([1, 2]),
                json!([1, 1]),
                "an item twice",
            ),
            (json!({"minItems": 1}), json!([1]), json!([]), "1 items or more"),
            (json!({"required": ["a"]}), json!({"a": 1}), json!({}), "has no `a`"),
            (
                json!({"properties": {"a": false}}),
                json!({"b": 1}),
                json!({"a": 1}),
                "a: must not be here",
            ),
            (
                json!({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": false}),
                json!({"x-a": ""}),
                json!({"y": 1}),
                "y: is no key that is known here",
            ),
            (
                json!({"propertyNames": {"maxLength": 1}}),
                json!({"a": 1}),
                json!({"ab": 1}),
                "ab: must have 1 characters or fewer",
            ),
            (
                json!({"maxProperties": 1}),
                json!({"a": 1}),
                json!({"a": 1, "b": 1}),
                "1 keys or fewer",
            ),
            (json!({"not": {"const": 1}}), json!(2), json!(1), "must not be here"),
            (
                json!({"anyOf": [{"const": 1}, {"type": "string"}]}),
                json!("x"),
                json!(2),
                "none of the forms",
            ),
            (
                json!({"oneOf": [{"minimum": 1}, {"minimum": 2}]}),
                json!(1),
                json!(3),
                "fits several",
            ),
            (
                json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}),
                json!(2),
                json!(3),
                "at most 2",
            ),
            (
                json!({"if": {"const": 1}, "then": false, "else": {"type": "string"}}),
                json!("x"),
                json!(1),
                "must not be here",
            ),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"const": 1}}}),
                json!(1),
                json!(2),
                "must be 1",
            ),
        ] {
            assert_eq!(told(&schema, &good), [""; 0], "{schema}");
            let told = told(&schema, &bad);
            assert!(told.len() == 1 && told[0].contains(words), "{schema}: {told:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_where_it_is_with_what_was_meant() {
        let schema = json!({"properties": {"session": {
            "properties": {"historyDepth": true, "scope": {"anyOf": [{"const": "a"}, {"properties": {"b": {"type": "string"}}, "type": "object"}]}},
            "additionalProperties": false}}});
        let document = json!({"session": {"historyDeph": 1, "scope": {"b": 1}}});
        let expected = [
            "session.historyDeph: is no key that is known here (did you mean `historyDepth`?)",
            "session.scope.b: must be of type string, and is of type number",
        ];
        assert_eq!(told(&schema, &document), expected);
        let schema = json!({"properties": {"a": {"type": "string", "errorMessage": "no\nwrite yes"}}});
        assert_eq!(told(&schema, &json!({"a": 1})), ["a: no (write yes)"]);
    }

    #[test]
    fn a_schema_that_cannot_be_followed_is_an_error_and_no_agreement() {
        for (schema, words) in [
            (json!({"unevaluatedProperties": false}), "unevaluatedProperties"),
            (json!({"$ref": "#/nowhere"}), "not in it"),
            (json!({"$ref": "http://example.org/x"}), "not in it"),
            (json!({"$ref": "#"}), "without an end"),
            (json!({"pattern": "(?<=a)b"}), "cannot be read"),
            (json!(3), "an object, true or false"),
            (json!({"allOf": 3}), "is a list"),
        ] {
            let error = flaws(&schema, &json!("x")).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let twice = json!({"allOf": [{"$ref": "#/a"}, {"$ref": "#/a"}]});
        let mut schema = json!({"a": true});
        for _ in 0..30 {
            schema = json!({"a": {"allOf": [schema["a"], schema["a"]]}, "twice": twice["allOf"]});
            if schema.to_string().len() > 1 << 16 {
                break;
            }
        }
        let wide = json!({"allOf": vec![schema["a"].clone(); 200]});
        assert!(flaws(&wide, &json!(1)).unwrap_err().contains("too long"));
    }
}
