//! What is said of the firewall in one place: what happens to what nothing lets in, and text of nft's own. What it comes to is
//! put together in [`super::super::firewall`].

use crate::config::{Code, Diagnostic, Reported, Span, Spanned};

use super::super::firewall::Otherwise;
use super::super::reader::Reader;

/// How much text of nft's own a firewall may have, in bytes: all of it goes through the plan of every apply.
const BYTES: usize = 256 << 10;

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    // Whatever is wrong with it, there is to be one.
    reader.declarations.firewall.span.get_or_insert(name.span);
    let otherwise = reader.optional::<String>("default");
    let rules = reader.optional::<String>("rules");
    let without_ssh = reader.optional::<bool>("without_ssh");
    let whole = super::file::content(reader);
    let otherwise = otherwise?.map(|word| read(reader, &word)).transpose();
    let rules = rules?;
    if let Some(rules) = &rules {
        encloses(reader, &rules.value, rules.span)?;
    }
    let (otherwise, without_ssh, whole) = (otherwise?, without_ssh?, whole?);
    let whole = match whole {
        None => None,
        Some(content) => {
            let written = ["text", "file", "template"]
                .into_iter()
                .find(|key| reader.declaration.get(key).is_some());
            let span = reader.key(written.unwrap_or("text"));
            let Some(text) = reader.declarations.text(&content) else {
                let message = "the rules of a firewall are text";
                return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, span, "")));
            };
            let text = format!("{}\n", text.trim_matches('\n'));
            encloses(reader, &text, span)?;
            Some(Spanned::new(text, span))
        }
    };
    let declarations = &mut *reader.declarations;
    super::super::firewall::note(declarations);
    let (draft, whose) = (&mut declarations.firewall, declarations.whose);
    draft.without_ssh |= without_ssh.is_some_and(|without| without.value);
    draft.rules.extend(rules.map(|rules| rules.value));
    if let Some(otherwise) = otherwise {
        draft.otherwise(otherwise, whose, reader.renderer.found);
    }
    if let Some(whole) = whole {
        draft.whole(whole, whose, reader.renderer.found);
    }
    Ok(())
}

fn read(reader: &mut Reader<'_, '_, '_>, word: &Spanned<String>) -> Result<Spanned<Otherwise>, Reported> {
    let otherwise = match word.value.as_str() {
        "drop" => Otherwise::Drop,
        "reject" => Otherwise::Reject,
        "accept" => Otherwise::Accept,
        _ => {
            let message = "what nothing lets in is dropped, rejected or accepted";
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, word.span, "");
            return Err(reader.report(diagnostic.help("write \"drop\", \"reject\" or \"accept\"")));
        }
    };
    Ok(Spanned::new(otherwise, word.span))
}

/// Reports a text that could end our table, and begin another one.
pub(in crate::resolve) fn encloses(reader: &mut Reader<'_, '_, '_>, text: &str, span: Span) -> Result<(), Reported> {
    let problem = if text.len() > BYTES {
        Some((
            format!("these rules are longer than {} KiB", BYTES >> 10),
            "let a set be filled by what knows it",
        ))
    } else {
        leaves(text).map(|why| {
            (
                why.to_owned(),
                "write what stands between the braces of one table, and nothing else",
            )
        })
    };
    match problem {
        None => Ok(()),
        Some((message, help)) => {
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, span, "");
            let why = "the firewall is one table of nftables; those of others are never touched";
            Err(reader.report(diagnostic.because(why).help(help)))
        }
    }
}

/// How a text leaves the braces that it stands in, if it does (nft(8), INPUT FILE FORMATS).
fn leaves(text: &str) -> Option<&'static str> {
    let mut depth = 0_i32;
    for line in text.lines() {
        let words = line.trim_start();
        if words.starts_with("include ") || words.starts_with("include\t") {
            return Some("these rules include a file of the host's, which nobody has declared");
        }
        if depth == 0
            && ["table ", "flush ", "delete ", "destroy ", "add "]
                .iter()
                .any(|word| words.starts_with(word))
        {
            return Some("these rules give an order about whole tables");
        }
        let mut quoted = false;
        for letter in words.chars() {
            match letter {
                '"' => quoted = !quoted,
                '#' if !quoted => break,
                '{' if !quoted => depth += 1,
                '}' if !quoted => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                return Some("these rules close a brace that they did not open");
            }
        }
        if quoted {
            return Some("these rules open a quote and do not close it");
        }
    }
    (depth != 0).then_some("these rules open a brace and do not close it")
}

#[cfg(test)]
mod tests {
    use super::leaves;

    #[test]
    fn text_that_stays_in_its_table_is_told_from_text_that_leaves_it() {
        for inside in [
            "",
            "chain a {\n\ttype filter hook input priority 0; policy accept;\n\tip saddr { 10.0.0.0/8 } drop\n}\n",
            "set s { type ipv4_addr; } # }\n",
            "chain a { tcp dport 22 accept comment \"}\" }",
        ] {
            assert_eq!(leaves(inside), None, "{inside}");
        }
        for outside in [
            "}\ntable ip other {\n",
            "} flush ruleset\ntable inet x {",
            "chain a {",
            "chain a { comment \"} }",
            "include \"/etc/nftables.conf\"",
            "table inet other { }",
            "flush ruleset",
        ] {
            assert!(leaves(outside).is_some(), "{outside}");
        }
    }
}
