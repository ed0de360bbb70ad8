//! What templates may do, and what they may not.

use super::*;

fn context() -> Context {
    let mut context = Context::new();
    context.insert("name", "friday");
    context.insert("list", &["a", "b"]);
    context.insert("port", &18789);
    context
}

fn rendered(text: &str) -> Result<String, TemplateError> {
    compile(text, Form::Text, &prototype())?.render(&context(), text, &mut Budget::default())
}

fn evaluated(text: &str) -> Result<tera::Value, TemplateError> {
    compile(text, Form::Expression, &prototype())?.value(&context(), text, &mut Budget::default())
}

#[test]
fn guards_leave_no_trace_in_the_result() {
    for (template, result) in [
        ("{% for x in list %}{{ x }},{% endfor %}", "a,b,"),
        ("a\n{%- for x in list -%}\n  {{ x }}\n{%- endfor -%}\nz", "aabz"),
        ("a\n{% for x in list %}\n{{ x }}\n{% endfor %}\nz", "a\n\na\n\nb\n\nz"),
        ("{% set y = port %} {{ y }}", " 18789"),
        ("{% set y = port -%} {{ y }}", "18789"),
        (
            "{% for x in list %}{% if x == \"a\" %}{% continue %}{% endif %}{{ x }}{% else %}none{% endfor %}",
            "b",
        ),
        (
            "{% raw %}{% for x in y %}{{ x }}{% endraw %}",
            "{% for x in y %}{{ x }}",
        ),
        ("{# {% for x #}{{ name }}", "friday"),
        ("{{ [x | upper for x in list] | join(sep=\"+\") }}", "A+B"),
        ("{{ \"}} {% for\" }}", "}} {% for"),
        (
            "{{ \"a b\" | replace(from=\" \", to=\"\\n\") | indent(width=2) }}",
            "a\n  b",
        ),
    ] {
        let text = rendered(template).unwrap_or_else(|error| panic!("{template}: {error:?}"));
        assert_eq!(text, result, "{template}");
    }
}

#[test]
fn a_failure_is_found_where_it_was_written_behind_the_guards() {
    for (template, at) in [
        (
            "{% for x in list %}{% for y in list %}{{ x + 1 }}{% endfor %}{% endfor %}",
            "x + 1",
        ),
        ("{% set y = name %}{% set z = y %}{{ z + 1 }}", "z + 1"),
        ("{% for x in list %}{{ x }}{% endfor %}{{ nothing.at.all }}", "nothing"),
        ("{% for x in list %}{{ x | }}{% endfor %}", "}}"),
        ("{% for x in list %}{{ x | uper }}{% endfor %}", "uper"),
    ] {
        let error = rendered(template).unwrap_err();
        let place = &template[error.range.clone()];
        assert!(
            place.contains(at) && place.len() <= at.len() + 8,
            "{template}: {place:?} {error:?}"
        );
    }
}

#[test]
fn what_would_run_away_is_stopped() {
    let nested = "{% for a in range(end=90000) %}{% for b in range(end=90000) %}{% endfor %}{% endfor %}";
    let doubled = "{% set_global a = 'xxxxxxxx' %}{% for b in range(end=60) %}{% set_global a = a ~ a %}{% endfor %}";
    let boxed = "{% set_global a = [1] %}{% for b in range(end=100) %}{% set_global a = [a] %}{% endfor %}";
    let shared =
        "{% set_global a = [1] %}{% for b in range(end=14) %}{% set_global a = [a, a, a, a, a, a] %}{% endfor %}";
    let written =
        "{% for a in range(end=90000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}";
    let replaced = "{% set a = range(end=20000) | join(sep=' ') %}{{ a | replace(from='', to=a) }}";
    let indented = "{{ name | indent(width=1000000000000, first=true) }}";
    let distinct = "{{ range(end=50000) | unique | length }}";
    let ranged = "{{ range(end=100000000000) | length }}";
    let swallowed = "{{ [x for x in [y for y in list]] }}";
    let looped = "{% for a in list %}{{ [x for x in range(end=9)] }}{% endfor %}";
    let captured = "{% set a %}x{% endset %}{{ a }}";
    let filtered = "{% filter upper %}x{% endfilter %}";
    let included = "{% include 'template' %}";
    let component = "{% component Bomb() %}{{ <Bomb /> }}{{ <Bomb /> }}{% endcomponent Bomb %}{{ <Bomb /> }}";
    for template in [
        nested, doubled, boxed, shared, written, replaced, indented, distinct, ranged, swallowed, looped, captured,
        filtered, included, component,
    ] {
        let error = rendered(template).unwrap_err();
        assert_eq!(error.code, Code::TemplateLimit, "{template}: {error:?}");
    }
}

#[test]
fn an_expression_keeps_its_type_and_cannot_leave_its_braces() {
    assert_eq!(evaluated("list").unwrap().as_array().map(<[_]>::len), Some(2));
    assert!(evaluated("port > 1024 and name != \"root\"").unwrap().is_truthy());
    assert!(!evaluated("port < 1024").unwrap().is_truthy());
    assert!(evaluated("1) }}{% for x in list %}x{% endfor %}{{ (2").is_err());
    let error = evaluated("port > 1024 and name + 1 > 2").unwrap_err();
    assert_eq!(&"port > 1024 and name + 1 > 2"[error.range], "name + 1");
}

#[test]
fn every_filter_test_and_function_on_the_list_exists() {
    let call = |name: &str| match name {
        "default" | "get" => "(value=1, key='x')",
        _ => "",
    };
    for filter in limits::FILTERS {
        let template = format!("{{% if false %}}{{{{ name | {filter}{} }}}}{{% endif %}}", call(filter));
        rendered(&template).unwrap_or_else(|error| panic!("{filter}: {error:?}"));
    }
    for test in limits::TESTS {
        let template = format!("{{% if false and name is {test} %}}{{% endif %}}");
        rendered(&template).unwrap_or_else(|error| panic!("{test}: {error:?}"));
    }
}

#[test]
fn a_map_is_rendered_in_the_same_order_every_time() {
    let template = "{% for k, v in {\"b\": 1, \"a\": 2, \"d\": 3, \"c\": 4} %}{{ k }}{% endfor %}";
    assert_eq!(rendered(template).unwrap(), "badc");
}

#[test]
fn the_templates_of_one_host_have_one_budget() {
    let text = "{% for a in range(end=90000) %}{% endfor %}";
    let template = compile(text, Form::Text, &prototype()).unwrap();
    let mut budget = Budget::default();
    let rendered = |budget: &mut Budget| template.render(&context(), text, budget);
    let times = (0..100).take_while(|_| rendered(&mut budget).is_ok()).count();
    assert!((3..10).contains(&times), "{times}");
    assert_eq!(rendered(&mut budget).unwrap_err().code, Code::TooMuch);
    let text = format!("{}{{{{ name }}}}", "x".repeat(1024 * 1024));
    let template = compile(&text, Form::Text, &prototype()).unwrap();
    let mut budget = Budget::default();
    let times = (0..100)
        .take_while(|_| template.render(&context(), &text, &mut budget).is_ok())
        .count();
    assert_eq!(times, 31);
}

#[test]
fn a_value_becomes_json_that_means_the_same() {
    for (template, result) in [
        ("{{ 'a \"b\" \\\\ c' | json }}", r#""a \"b\" \\ c""#),
        ("{{ list | json }}", r#"["a","b"]"#),
        ("{{ port | json }}", "18789"),
        ("{{ {'b': 1, 'a': [true, 1.5]} | json }}", r#"{"a":[true,1.5],"b":1}"#),
    ] {
        assert_eq!(rendered(template).unwrap(), result, "{template}");
    }
}
