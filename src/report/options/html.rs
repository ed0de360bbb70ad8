//! The documentation of modules as one page that needs nothing but itself: no script, style, font or image is fetched.

use super::{ImportDoc, ModuleDoc, OptionDoc, PortDoc};
use crate::report::escape::html as escaped;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Modules as a page with a search field.
#[must_use]
pub fn page(docs: &[ModuleDoc]) -> String {
    let entries: String = docs
        .iter()
        .map(|doc| {
            format!(
                "<li data-of=\"{0}\"><a href=\"#{0}\">{0}</a></li>\n",
                escaped(&doc.name)
            )
        })
        .collect();
    let modules: String = docs.iter().map(module).collect();
    let options: usize = docs.iter().map(|doc| doc.options.len()).sum();
    format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>Modules and their options</title>\n\
         <style>\n{STYLE}</style>\n\
         </head>\n\
         <body>\n\
         <header>\n\
         <h1>Modules and their options</h1>\n\
         <input id=\"search\" type=\"search\" placeholder=\"Search {options} options of {} modules\" aria-label=\"Search\" autocomplete=\"off\" autocapitalize=\"off\" spellcheck=\"false\">\n\
         <p id=\"found\" role=\"status\"></p>\n\
         </header>\n\
         <nav aria-label=\"Modules\">\n<ul>\n{entries}</ul>\n</nav>\n\
         <main>\n{modules}\
         <p id=\"nothing\" hidden>Nothing fits. Search takes several words, in any order.</p>\n\
         </main>\n\
         <script>\n{SCRIPT}</script>\n\
         </body>\n\
         </html>\n",
        docs.len(),
    )
}

fn module(doc: &ModuleDoc) -> String {
    let name = escaped(&doc.name);
    let description = doc.description.as_deref().unwrap_or_default();
    let mut text = format!(
        "<section class=\"module\" id=\"{name}\">\n<h2><a href=\"#{name}\">{name}</a></h2>\n{}",
        running(description)
    );
    text += &format!("<p class=\"file\">{}", code(&doc.file));
    if !doc.imports.is_empty() {
        let imports: Vec<_> = doc.imports.iter().map(import).collect();
        text += &format!(", imports {}", imports.join(", "));
    }
    if doc.instances {
        text += ", used once per name";
    }
    text += &format!("</p>\n<pre><code>{}</code></pre>\n", escaped(doc.usage.trim_end()));
    for option in &doc.options {
        text += &option_section(&doc.name, option);
    }
    if !doc.ports.is_empty() {
        let item = |port: &PortDoc| {
            let ports: Vec<_> = port.ports.iter().map(|port| code(port)).collect();
            format!(
                "<li>{} {}: {}</li>\n",
                port.protocol,
                ports.join(", "),
                escaped(&port.name)
            )
        };
        let items: String = doc.ports.iter().map(item).collect();
        text += &format!("<details><summary>Listens on</summary><ul>\n{items}</ul></details>\n");
    }
    if !doc.asserts.is_empty() {
        let items: String = doc
            .asserts
            .iter()
            .map(|assert| format!("<li>{} {}</li>\n", code(&assert.that), inline(&assert.message)))
            .collect();
        text += &format!("<details><summary>Checks</summary><ul>\n{items}</ul></details>\n");
    }
    if !doc.resources.is_empty() {
        let items: String = doc
            .resources
            .iter()
            .map(|resource| format!("<li>{} {}</li>\n", resource.kind, code(&resource.name)))
            .collect();
        text += &format!("<details><summary>Makes</summary><ul>\n{items}</ul></details>\n");
    }
    text + "</section>\n"
}

fn import(import: &ImportDoc) -> String {
    let link = format!("<a href=\"#{0}\">{0}</a>", escaped(&import.module));
    match &import.when {
        Some(when) => format!("{link} when {}", code(when)),
        None => link,
    }
}

fn option_section(module: &str, option: &OptionDoc) -> String {
    let (name, id) = (escaped(&option.name), escaped(&format!("{module}.{}", option.name)));
    let mut facts = vec![format!("<dt>Type</dt><dd>{}</dd>", code(&option.ty))];
    let mut fact = |word: &str, value: Option<&String>| {
        facts.extend(value.map(|value| format!("<dt>{word}</dt><dd>{}</dd>", code(value))));
    };
    fact("Default", option.default.as_ref());
    fact("At least", option.min.as_ref());
    fact("At most", option.max.as_ref());
    let one_of = (!option.one_of.is_empty()).then(|| option.one_of.join(", "));
    fact("One of", one_of.as_ref());
    fact("Fitting", option.pattern.as_ref());
    fact("Example", option.example.as_ref());
    let required = if option.required {
        " <strong>has to be set</strong>"
    } else {
        ""
    };
    let deprecated = option.deprecated.as_ref();
    let deprecated = deprecated.map(|text| format!("<p><strong>Deprecated:</strong> {}</p>\n", inline(text)));
    format!(
        "<section class=\"option\" id=\"{id}\">\n<h3><a href=\"#{id}\">{name}</a>{required}</h3>\n{}{}<dl>{}</dl>\n</section>\n",
        deprecated.unwrap_or_default(),
        running(option.description.as_deref().unwrap_or_default()),
        facts.join("")
    )
}

/// Paragraphs, with the spans of code that the text's author wrote in backticks.
fn running(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
    paragraphs
        .map(|paragraph| format!("<p>{}</p>\n", inline(paragraph.trim())))
        .collect()
}

fn inline(text: &str) -> String {
    let parts: Vec<_> = text.split('`').collect();
    let paired = parts.len() % 2 == 1;
    let mut out = String::new();
    for (number, part) in parts.iter().enumerate() {
        match (number % 2, paired) {
            (1, true) => out += &code(part),
            (_, true) => out += &escaped(part),
            (_, false) => {
                out += if number > 0 { "`" } else { "" };
                out += &escaped(part);
            }
        }
    }
    out
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}
