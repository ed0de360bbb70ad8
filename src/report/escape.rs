//! Text as it stands in other languages: in HTML, SVG and attributes of both. It knows no layout.

/// Text in which nothing is markup, for elements and for attributes in quotes. Characters that XML cannot have at all,
/// and those that steer terminals or reorder text, become the sign for what cannot be shown.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(c),
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}') =>
            {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_markup() {
        assert_eq!(
            super::html("<a href='x' title=\"y\">&\u{0}\u{1b}\u{202e}é\n"),
            "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;\u{fffd}\u{fffd}\u{fffd}é\n"
        );
    }
}
