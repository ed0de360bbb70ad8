//! What leaks is masked in every encoding, wherever pieces are cut, and nothing else is.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

/// Values, each with something that an encoding has to change.
const VALUES: [(&str, &[u8]); 6] = [
    ("plain", b"hunter2hunter2"),
    ("odd", b"p@ss w\"rd'$x\\y`z/<&>%+=\x07"),
    ("unicode", "zw\u{f6}lf \u{1f511} Schl\u{fc}ssel".as_bytes()),
    ("binary", b"\0\xff\xfe\x80secret\x01\x02"),
    ("pem", b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIDdkJ2xkZGRk+/ZGRk\nZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRk\n-----END PRIVATE KEY-----\n"),
    ("line", b"token-with-newline-7f3a\n"),
];

/// Encodings by encoders that are not the ones under test, wherever there is one.
fn leaks(value: &[u8]) -> BTreeMap<&'static str, Vec<u8>> {
    let mut all = BTreeMap::new();
    all.insert("raw", value.to_vec());
    for (name, before) in [
        ("base64", &b""[..]),
        ("base64 after one", b"A"),
        ("base64 after two", b"AB"),
    ] {
        all.insert(name, STANDARD.encode([before, value, b"ZZ"].concat()).into_bytes());
    }
    all.insert("base64 url", URL_SAFE.encode(value).into_bytes());
    all.insert(
        "base64 url without padding",
        URL_SAFE_NO_PAD.encode([b"A", value].concat()).into_bytes(),
    );
    all.insert(
        "hex",
        value
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into_bytes(),
    );
    all.insert(
        "hex upper",
        value
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect::<String>()
            .into_bytes(),
    );
    let percent = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    all.insert("url", value.iter().map(percent).collect::<String>().into_bytes());
    if let Ok(text) = std::str::from_utf8(value) {
        let json = serde_json::to_string(text).unwrap();
        all.insert("json in json", serde_json::to_string(&json).unwrap().into_bytes());
        all.insert("json", json.into_bytes());
        all.insert("debug", format!("{text:?}").into_bytes());
        all.insert("shell", format!("'{}'", text.replace('\'', "'\\''")).into_bytes());
    }
    all
}

/// Whether eight bytes in a row of a leak are still there.
fn left(output: &[u8], leak: &[u8]) -> bool {
    let frame = [&b"-----BEGIN PRIVATE KEY-----"[..], b"-----END PRIVATE KEY-----"];
    let framed = |window: &[u8]| {
        frame
            .iter()
            .any(|frame| frame.windows(window.len()).any(|part| part == window))
    };
    leak.windows(8)
        .any(|window| !framed(window) && output.windows(8).any(|part| part == window))
}

#[test]
fn every_value_is_masked_in_every_encoding() {
    let redactor = Redactor::new(VALUES);
    for (name, value) in VALUES {
        for (encoding, leak) in leaks(value) {
            let text = [b"before: ", leak.as_slice(), b" :after"].concat();
            let output = redactor.bytes(&text);
            let shown = String::from_utf8_lossy(&output);
            assert!(
                shown.contains(&format!("[secret {name}]")),
                "{name} as {encoding}: {shown}"
            );
            assert!(!left(&output, &leak), "{name} as {encoding}: {shown}");
            assert!(shown.starts_with("before: ") && shown.ends_with(" :after"), "{shown}");
        }
    }
}

#[test]
fn a_key_file_is_masked_line_by_line() {
    let redactor = Redactor::new(VALUES);
    let (_, pem) = VALUES[4];
    for line in std::str::from_utf8(pem).unwrap().lines() {
        let shown = redactor.text(line).into_owned();
        let expected = if line.starts_with("-----") {
            line
        } else {
            "[secret pem]"
        };
        assert_eq!(shown, expected);
    }
    // As `base64` of coreutils wraps it.
    let encoded = STANDARD.encode(pem);
    for line in encoded.as_bytes().chunks(76) {
        assert!(!left(&redactor.bytes(line), line), "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn other_texts_stay_as_they_are() {
    let redactor = Redactor::new(VALUES);
    for text in [
        "",
        "hunter2",
        "nothing of interest",
        "-----BEGIN PRIVATE KEY-----",
        "68756e7465",
        "[secret plain]",
    ] {
        assert!(
            matches!(redactor.text(text), Cow::Borrowed(same) if same == text),
            "{text}"
        );
    }
    let none = Redactor::new([]);
    assert!(matches!(none.text("hunter2hunter2"), Cow::Borrowed(_)));
}

#[test]
fn what_is_too_short_is_not_masked_and_is_told() {
    let redactor = Redactor::new([("pin", &b"8080"[..]), ("padded", b"a \n\n\n\n\n"), ("token", b"abcdef")]);
    assert_eq!(redactor.unmasked(), ["pin", "padded"]);
    assert_eq!(redactor.text("8080 a abcdef"), "8080 a [secret token]");
}

#[test]
fn values_that_overlap_or_contain_one_another_leave_nothing() {
    let redactor = Redactor::new([
        ("long", &b"abcdefghijkl"[..]),
        ("inner", b"defghi"),
        ("next", b"ijklmnop"),
    ]);
    assert_eq!(redactor.text("<abcdefghijklmnop>"), "<[secret long]>");
    assert_eq!(redactor.text("<defghi>"), "<[secret inner]>");
    assert_eq!(redactor.text("<defghiabcdefghijkl>"), "<[secret inner][secret long]>");
}

#[test]
fn a_value_that_is_cut_off_is_masked() {
    let redactor = Redactor::new([("token", &b"abcdefghijklmnopqrstuvwxyz"[..])]);
    assert_eq!(redactor.text("error: abcdefghijklmnopq"), "error: [secret token]");
    assert_eq!(redactor.text("error: abcdefg"), "error: abcdefg");
    let (_, pem) = VALUES[4];
    let cut = Redactor::new(VALUES).bytes(&pem[..45]).into_owned();
    assert_eq!(cut, b"[secret pem]");
}

#[test]
fn nothing_of_a_value_is_in_its_debug() {
    let redactor = Redactor::new(VALUES);
    let mut stream = redactor.stream();
    let _ = stream.push(b"hunter2");
    let shown = format!("{redactor:?}");
    assert!(shown.contains("plain") && !shown.contains("hunter2"), "{shown}");
    assert!(!format!("{stream:?}").contains("104, 117"), "{stream:?}");
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        before in prop::collection::vec(any::<u8>(), 0..40),
        value in prop::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 6..60),
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let redactor = Redactor::new([("one", value.as_slice()), ("two", b"aaaaaaab")]);
        let all: Vec<_> = leaks(&value).into_values().collect();
        let leak = which.get(&all);
        let text = [before.as_slice(), leak, b" after"].concat();
        let whole = redactor.bytes(&text).into_owned();
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let mut stream = redactor.stream();
        let mut pieces = Vec::new();
        for range in at.windows(2) {
            pieces.extend(stream.push(&text[range[0]..range[1]]));
        }
        pieces.extend(stream.finish());
        prop_assert_eq!(&pieces, &whole);
        if value.trim_ascii().len() >= SHORTEST {
            prop_assert!(whole.windows(8).any(|part| part == b"[secret "), "{:?}", String::from_utf8_lossy(&whole));
        }
    }

    #[test]
    fn what_is_held_back_is_bounded(byte in b'!'..=b'~', pieces in 1..200_usize) {
        let value = vec![byte; 32];
        let redactor = Redactor::new([("one", value.as_slice())]);
        let mut stream = redactor.stream();
        let mut length = 0;
        for _ in 0..pieces {
            length += stream.push(&[byte; 100]).len();
            prop_assert!(stream.held() < 32 * 4, "{}", stream.held());
        }
        prop_assert!(length <= 2 * "[secret one]".len());
    }
}
